"""Proving domains by each method, with BIND: present, seen, answered, cleared; nobody else's records are touched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from portal.adapters.ca.base import ChallengeKind
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.account import Organisation
from portal.models.catalogue import CaAccount
from portal.models.hosting import ChallengeResponse
from portal.models.validation import ValidationRecord
from portal.services import domain_validations, validating
from portal.services.acting import Actor
from tests.bind import Bind, bind
from tests.factories import Cast, Factory
from tests.services.validations import (
    CUSTOMER_ZONE,
    NAME,
    RECORD,
    SERVICE_ZONE,
    ZONES,
    authorization,
    credential,
    operators_account,
    order_of,
    renewal_of,
    use,
    value_of,
)


@pytest.fixture(scope="module")
def running() -> Iterator[Bind]:
    with bind(*ZONES) as server:
        yield server


@pytest.fixture
def named(running: Bind) -> Bind:
    for kind in ("CNAME", "TXT"):
        running.set(CUSTOMER_ZONE, RECORD, kind)
    return running


@pytest.fixture
def overrides(running: Bind) -> dict[str, Any]:
    return {"name_server_port": running.port, "step_timeout": 5.0}


@pytest.fixture
def account(factory: Factory, named: Bind) -> CaAccount:
    """Its operator's provider writes to the customer's zone."""
    return operators_account(factory, named)


@pytest.fixture
def other(cast: Cast) -> Actor:
    return Actor(cast.charlie.id, cast.other_organisation.id)


DNS_METHODS = [ValidationMethod.DELEGATION, ValidationMethod.CREDENTIALS, ValidationMethod.OPERATOR]


@pytest.mark.parametrize("method", DNS_METHODS)
def test_a_record_is_put_seen_answered_and_taken_away(
    factory: Factory,
    cast: Cast,
    actor: Actor,
    account: CaAccount,
    named: Bind,
    now: datetime,
    method: ValidationMethod,
) -> None:
    where = use(method, named, actor, now)
    zone = SERVICE_ZONE if method is ValidationMethod.DELEGATION else CUSTOMER_ZONE
    named.set(zone, where, "TXT", '"somebody-else"')
    renewal, one = renewal_of(factory, cast.organisation, NAME), authorization(NAME)
    order = order_of(one)
    assert not validating.proofs_of(renewal, account, order).are_visible()
    for _ in range(2):
        validating.present(renewal, account, order, now)
    assert sorted(named.txt(where)) == ["somebody-else", value_of(one)]
    assert validating.proofs_of(renewal, account, order).are_visible()
    assert [challenge.kind for challenge in validating.proofs_of(renewal, account, order).to_answer()] == [
        ChallengeKind.DNS_01
    ]
    for _ in range(2):
        validating.clear(renewal, account, order)
    assert named.txt(where) == ["somebody-else"]
    assert db.session.scalars(select(ValidationRecord)).all() == []


def test_a_record_that_has_gone_again_is_not_visible(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    where = use(ValidationMethod.DELEGATION, named, actor, now)
    renewal, order = renewal_of(factory, cast.organisation, NAME), order_of(authorization(NAME))
    validating.present(renewal, account, order, now)
    named.set(SERVICE_ZONE, where, "TXT")
    assert not validating.proofs_of(renewal, account, order).are_visible()


def test_over_http_the_portal_answers(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    use(ValidationMethod.HTTP, named, actor, now)
    renewal, one = renewal_of(factory, cast.organisation, NAME), authorization(NAME)
    validating.present(renewal, account, order_of(one), now)
    (challenge,) = validating.proofs_of(renewal, account, order_of(one)).to_answer()
    assert challenge.kind is ChallengeKind.HTTP_01
    assert validating.find_response(challenge.token) == challenge.key_authorization
    assert validating.proofs_of(renewal, account, order_of(one)).are_visible()
    validating.clear(renewal, account, order_of(one))
    assert validating.find_response(challenge.token) is None
    assert named.txt(RECORD) == []


def test_each_name_of_an_order_goes_its_own_way(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    where = use(ValidationMethod.DELEGATION, named, actor, now)
    plain = f"http.{CUSTOMER_ZONE}"
    use(ValidationMethod.HTTP, named, actor, now, plain)
    unknown = f"unset.{CUSTOMER_ZONE}"
    renewal = renewal_of(factory, cast.organisation, NAME, plain, unknown)
    order = order_of(*(authorization(name) for name in (NAME, plain, unknown)))
    validating.present(renewal, account, order, now)
    assert [one.kind.value for one in validating.proofs_of(renewal, account, order).to_answer()] == [
        "dns-01",
        "http-01",
        "dns-01",
    ]
    assert named.txt(where) == [value_of(order.authorizations[0])]
    assert named.txt(f"_acme-challenge.{unknown}") == [value_of(order.authorizations[2])]
    assert named.txt(f"_acme-challenge.{plain}") == []
    validating.clear(renewal, account, order)
    assert named.txt(f"_acme-challenge.{unknown}") == []


@pytest.mark.parametrize("method", DNS_METHODS)
def test_a_name_and_its_wildcard_have_two_values_side_by_side(
    factory: Factory,
    cast: Cast,
    actor: Actor,
    account: CaAccount,
    named: Bind,
    now: datetime,
    method: ValidationMethod,
) -> None:
    where = use(method, named, actor, now)
    order = order_of(authorization(NAME), authorization(NAME, wildcard=True))
    renewal = renewal_of(factory, cast.organisation, NAME, f"*.{NAME}")
    validating.present(renewal, account, order, now)
    assert sorted(named.txt(where)) == sorted(value_of(one) for one in order.authorizations)
    assert len(validating.proofs_of(renewal, account, order).to_answer()) == 2


def test_an_order_with_nothing_to_prove_asks_nobody(
    factory: Factory, cast: Cast, account: CaAccount, now: datetime
) -> None:
    renewal, order = (
        renewal_of(factory, cast.organisation, NAME),
        order_of(authorization(NAME, state="valid")),
    )
    validating.present(renewal, account, order, now)
    assert validating.proofs_of(renewal, account, order).are_visible()
    assert validating.proofs_of(renewal, account, order).to_answer() == ()


# Changes meanwhile


@pytest.mark.parametrize(
    "then", [ValidationMethod.HTTP, ValidationMethod.CREDENTIALS, ValidationMethod.OPERATOR]
)
def test_what_was_put_by_another_method_is_answered_and_taken_away(
    factory: Factory,
    cast: Cast,
    actor: Actor,
    account: CaAccount,
    named: Bind,
    now: datetime,
    then: ValidationMethod,
) -> None:
    where = use(ValidationMethod.DELEGATION, named, actor, now)
    renewal, one = renewal_of(factory, cast.organisation, NAME), authorization(NAME)
    order = order_of(one)
    validating.present(renewal, account, order, now)
    chosen = credential(named, actor, now).id if then is ValidationMethod.CREDENTIALS else None
    domain_validations.set_method(actor.organisation_id, NAME, then, actor, now, chosen)
    assert validating.proofs_of(renewal, account, order).are_visible()
    assert [challenge.kind for challenge in validating.proofs_of(renewal, account, order).to_answer()] == [
        ChallengeKind.DNS_01
    ]
    validating.clear(renewal, account, order)
    assert named.txt(where) == []


def test_of_two_proofs_the_method_that_is_chosen_now_counts(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    where = use(ValidationMethod.DELEGATION, named, actor, now)
    renewal, order = renewal_of(factory, cast.organisation, NAME), order_of(authorization(NAME))
    validating.present(renewal, account, order, now)
    use(ValidationMethod.HTTP, named, actor, now)
    validating.present(renewal, account, order, now)
    (challenge,) = validating.proofs_of(renewal, account, order).to_answer()
    assert challenge.kind is ChallengeKind.HTTP_01
    validating.clear(renewal, account, order)
    assert named.txt(where) == []
    assert db.session.scalars(select(ChallengeResponse)).all() == []


def test_an_order_that_is_gone_is_cleared_all_the_same(
    factory: Factory, cast: Cast, account: CaAccount, named: Bind, now: datetime
) -> None:
    renewal = renewal_of(factory, cast.organisation, NAME)
    validating.present(renewal, account, order_of(authorization(NAME)), now)
    validating.clear(renewal, account, None)
    assert named.txt(RECORD) == []


# Two organisations


def both(organisations: tuple[Organisation, Organisation], factory: Factory) -> Any:
    return [renewal_of(factory, one, NAME) for one in organisations]


def test_two_organisations_that_prove_one_name_do_not_disturb_each_other(
    factory: Factory, cast: Cast, actor: Actor, other: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    use(ValidationMethod.CREDENTIALS, named, actor, now)
    ours, theirs = both((cast.organisation, cast.other_organisation), factory)
    our_order, their_order = order_of(authorization(NAME)), order_of(authorization(NAME, salt="theirs"))
    validating.present(ours, account, our_order, now)
    validating.present(theirs, account, their_order, now)
    validating.clear(ours, account, our_order)
    assert named.txt(RECORD) == [value_of(their_order.authorizations[0])]
    assert validating.proofs_of(theirs, account, their_order).are_visible()


def test_a_value_that_two_renewals_share_stays_until_both_are_done(
    factory: Factory, cast: Cast, account: CaAccount, named: Bind, now: datetime
) -> None:
    """CAs hand the same pending authorization to every order of an account (RFC 8555, 7.1.4)."""
    ours, theirs = both((cast.organisation, cast.other_organisation), factory)
    order = order_of(authorization(NAME))
    for renewal in (ours, theirs):
        validating.present(renewal, account, order, now)
    validating.clear(ours, account, order)
    assert validating.proofs_of(theirs, account, order).are_visible()
    validating.clear(theirs, account, order)
    assert named.txt(RECORD) == []


def test_a_token_that_two_renewals_share_is_served_to_both(
    factory: Factory, cast: Cast, named: Bind, now: datetime
) -> None:
    account = operators_account(factory, named, challenge="http-01")
    ours, theirs = both((cast.organisation, cast.other_organisation), factory)
    order = order_of(authorization(NAME))
    for renewal in (ours, theirs):
        validating.present(renewal, account, order, now)
    validating.clear(ours, account, order)
    assert validating.proofs_of(theirs, account, order).are_visible()
    assert len(validating.proofs_of(theirs, account, order).to_answer()) == 1

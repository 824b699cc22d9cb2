"""Proving domains by each method, with BIND: present, seen, answered, cleared; nobody else's records are touched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from portal.adapters.ca.base import ChallengeKind
from portal.adapters.errors import AdapterError
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.account import Organisation
from portal.models.catalogue import CaAccount
from portal.models.hosting import ChallengeResponse
from portal.models.validation import ValidationRecord
from portal.services import delegation, domain_validations, validating
from portal.services.acting import Actor
from tests.bind import Bind, bind
from tests.factories import Cast, Factory
from tests.services.validations import (
    CUSTOMER_ZONE,
    SERVICE_ZONE,
    ZONES,
    authorization,
    credential,
    delegate,
    operators_account,
    options_of,
    order_of,
    renewal_of,
    service_zone,
    value_of,
)

NAME = f"shop.{CUSTOMER_ZONE}"
RECORD = f"_acme-challenge.{NAME}"


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


def use(method: ValidationMethod, named: Bind, actor: Actor, now: datetime, name: str = NAME) -> str:
    """Have a name proved by a method, its customer's part done; returns where the record will be."""
    if method is ValidationMethod.DELEGATION:
        if delegation.find_verified() is None:
            service_zone(named, now)
        row = domain_validations.set_method(actor.organisation_id, name, method, actor, now)
        return delegate(named, row)
    chosen = credential(named, actor, now).id if method is ValidationMethod.CREDENTIALS else None
    domain_validations.set_method(actor.organisation_id, name, method, actor, now, chosen)
    return f"_acme-challenge.{name}"


def code_of(call: Any) -> tuple[str, bool]:
    with pytest.raises(AdapterError) as caught:
        call()
    return caught.value.code, caught.value.permanent


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
    assert not validating.is_visible(renewal, account, order)
    for _ in range(2):
        validating.present(renewal, account, order, now)
    assert sorted(named.txt(where)) == ["somebody-else", value_of(one)]
    assert validating.is_visible(renewal, account, order)
    assert [challenge.kind for challenge in validating.to_answer(renewal, account, order)] == [
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
    assert not validating.is_visible(renewal, account, order)


def test_over_http_the_portal_answers(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    use(ValidationMethod.HTTP, named, actor, now)
    renewal, one = renewal_of(factory, cast.organisation, NAME), authorization(NAME)
    validating.present(renewal, account, order_of(one), now)
    (challenge,) = validating.to_answer(renewal, account, order_of(one))
    assert challenge.kind is ChallengeKind.HTTP_01
    assert validating.find_response(challenge.token) == challenge.key_authorization
    assert validating.is_visible(renewal, account, order_of(one))
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
    assert [one.kind.value for one in validating.to_answer(renewal, account, order)] == [
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
    assert len(validating.to_answer(renewal, account, order)) == 2


def test_a_wildcard_is_not_proved_over_http(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    use(ValidationMethod.HTTP, named, actor, now)
    renewal, order = (
        renewal_of(factory, cast.organisation, f"*.{NAME}"),
        order_of(authorization(NAME, wildcard=True)),
    )
    for call in (validating.present, validating.to_answer):
        more = (now,) if call is validating.present else ()
        assert code_of(lambda call=call, more=more: call(renewal, account, order, *more)) == (
            "wildcard_needs_dns",
            True,
        )


def test_an_account_that_is_set_up_for_http_proves_wildcards_by_dns(
    factory: Factory, cast: Cast, named: Bind, now: datetime
) -> None:
    account = operators_account(factory, named, challenge="http-01")
    order = order_of(authorization(NAME), authorization(NAME, wildcard=True))
    renewal = renewal_of(factory, cast.organisation, NAME, f"*.{NAME}")
    validating.present(renewal, account, order, now)
    assert [one.kind.value for one in validating.to_answer(renewal, account, order)] == ["http-01", "dns-01"]
    assert named.txt(RECORD) == [value_of(order.authorizations[1])]


def test_an_order_with_nothing_to_prove_asks_nobody(
    factory: Factory, cast: Cast, account: CaAccount, now: datetime
) -> None:
    renewal, order = (
        renewal_of(factory, cast.organisation, NAME),
        order_of(authorization(NAME, state="valid")),
    )
    validating.present(renewal, account, order, now)
    assert validating.is_visible(renewal, account, order)
    assert validating.to_answer(renewal, account, order) == ()


def test_a_challenge_that_the_ca_does_not_offer_is_said(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    use(ValidationMethod.HTTP, named, actor, now)
    one = authorization(NAME)
    dns_only = order_of(type(one)(NAME, one.url, "pending", False, one.challenges[:1]))
    renewal = renewal_of(factory, cast.organisation, NAME)
    assert code_of(lambda: validating.present(renewal, account, dns_only, now)) == (
        "challenge_not_offered",
        True,
    )


# What is not set up, or wrongly


def test_a_delegation_that_leads_elsewhere_is_not_written_to(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    use(ValidationMethod.DELEGATION, named, actor, now)
    renewal, order = renewal_of(factory, cast.organisation, NAME), order_of(authorization(NAME))
    named.set(CUSTOMER_ZONE, RECORD, "CNAME", f"elsewhere.{SERVICE_ZONE}.")
    assert code_of(lambda: validating.present(renewal, account, order, now)) == (
        "dns_delegation_broken",
        True,
    )
    named.set(CUSTOMER_ZONE, RECORD, "CNAME")
    assert code_of(lambda: validating.present(renewal, account, order, now)) == (
        "dns_delegation_broken",
        True,
    )
    assert db.session.scalars(select(ValidationRecord)).all() == []


def test_a_zone_that_is_to_be_tried_out_again_is_waited_for(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    use(ValidationMethod.DELEGATION, named, actor, now)
    delegation.set_up(SERVICE_ZONE, "rfc2136", options_of(named, SERVICE_ZONE), named.address, "cli", now)
    renewal, order = renewal_of(factory, cast.organisation, NAME), order_of(authorization(NAME))
    assert code_of(lambda: validating.present(renewal, account, order, now)) == (
        "delegation_zone_unready",
        False,
    )


def test_an_account_without_a_provider_says_so(
    factory: Factory, cast: Cast, named: Bind, now: datetime
) -> None:
    account = factory.ca_account(
        kind="acme", config={"directory_url": "https://ca.test/dir", "resolver": named.address}
    )
    renewal, order = renewal_of(factory, cast.organisation, NAME), order_of(authorization(NAME))
    assert code_of(lambda: validating.present(renewal, account, order, now)) == ("dns_not_configured", True)


def test_nobody_else_has_a_record_written_where_a_delegation_leads(
    factory: Factory, cast: Cast, actor: Actor, other: Actor, named: Bind, now: datetime
) -> None:
    """Else a stranger could have a certificate for a name whose owner trusts this service with it."""
    where = use(ValidationMethod.DELEGATION, named, actor, now)
    account = operators_account(factory, named, SERVICE_ZONE)
    stranger, order = renewal_of(factory, cast.other_organisation, NAME), order_of(authorization(NAME))
    assert code_of(lambda: validating.present(stranger, account, order, now)) == (
        "dns_delegation_foreign",
        True,
    )
    domain_validations.set_method(other.organisation_id, NAME, ValidationMethod.DELEGATION, other, now)
    assert code_of(lambda: validating.present(stranger, account, order, now)) == (
        "dns_delegation_broken",
        True,
    )
    assert named.txt(where) == []


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
    assert validating.is_visible(renewal, account, order)
    assert [challenge.kind for challenge in validating.to_answer(renewal, account, order)] == [
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
    (challenge,) = validating.to_answer(renewal, account, order)
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
    assert validating.is_visible(theirs, account, their_order)


def test_a_value_that_two_renewals_share_stays_until_both_are_done(
    factory: Factory, cast: Cast, account: CaAccount, named: Bind, now: datetime
) -> None:
    """CAs hand the same pending authorization to every order of an account (RFC 8555, 7.1.4)."""
    ours, theirs = both((cast.organisation, cast.other_organisation), factory)
    order = order_of(authorization(NAME))
    for renewal in (ours, theirs):
        validating.present(renewal, account, order, now)
    validating.clear(ours, account, order)
    assert validating.is_visible(theirs, account, order)
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
    assert validating.is_visible(theirs, account, order)
    assert len(validating.to_answer(theirs, account, order)) == 1

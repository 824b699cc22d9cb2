"""By which way a name is proved, and which ways are refused, with BIND."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from portal.adapters.ca.base import ChallengeKind
from portal.adapters.errors import AdapterError
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.validation import ValidationRecord
from portal.services import delegation, domain_validations, validating
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
    code_of,
    operators_account,
    options_of,
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


def test_a_wildcard_is_not_proved_over_http(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    use(ValidationMethod.HTTP, named, actor, now)
    renewal, order = (
        renewal_of(factory, cast.organisation, f"*.{NAME}"),
        order_of(authorization(NAME, wildcard=True)),
    )
    refused = ("wildcard_needs_dns", True)
    assert code_of(lambda: validating.present(renewal, account, order, now)) == refused
    assert code_of(lambda: validating.proofs_of(renewal, account, order).to_answer()) == refused


def test_an_account_that_is_set_up_for_http_proves_wildcards_by_dns(
    factory: Factory, cast: Cast, named: Bind, now: datetime
) -> None:
    account = operators_account(factory, named, challenge="http-01")
    order = order_of(authorization(NAME), authorization(NAME, wildcard=True))
    renewal = renewal_of(factory, cast.organisation, NAME, f"*.{NAME}")
    validating.present(renewal, account, order, now)
    answers = validating.proofs_of(renewal, account, order).to_answer()
    assert [one.kind.value for one in answers] == ["http-01", "dns-01"]
    assert named.txt(RECORD) == [value_of(order.authorizations[1])]


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


@pytest.mark.parametrize("state", ["pending", "valid"])
@pytest.mark.parametrize(
    ("method", "code"),
    [
        (ValidationMethod.HTTP, "name_held_by_another"),
        (ValidationMethod.OPERATOR, "name_held_by_another"),
        (ValidationMethod.DELEGATION, "dns_delegation_broken"),
    ],
)
def test_a_name_that_another_organisation_proved_is_not_had_by_its_redirect_or_by_a_remembered_proof(
    factory: Factory,
    cast: Cast,
    actor: Actor,
    other: Actor,
    account: CaAccount,
    named: Bind,
    now: datetime,
    method: ValidationMethod,
    code: str,
    state: str,
) -> None:
    domain_validations.note_proved(other.organisation_id, [NAME], now)
    use(method, named, actor, now)
    named.set(CUSTOMER_ZONE, RECORD, "CNAME")
    renewal = renewal_of(factory, cast.organisation, NAME)
    with pytest.raises(AdapterError) as caught:
        validating.present(renewal, account, order_of(replace(authorization(NAME), state=state)), now)
    assert (caught.value.code, caught.value.permanent) == (code, True)
    domain_validations.note_proved(actor.organisation_id, [NAME], now)
    if method is not ValidationMethod.DELEGATION:
        validating.present(renewal, account, order_of(replace(authorization(NAME), state=state)), now)


def test_a_delegation_to_ones_own_label_proves_what_another_organisation_proved_before(
    factory: Factory, cast: Cast, actor: Actor, other: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    domain_validations.note_proved(other.organisation_id, [NAME], now)
    use(ValidationMethod.DELEGATION, named, actor, now)
    renewal = renewal_of(factory, cast.organisation, NAME)
    validating.present(renewal, account, order_of(authorization(NAME)), now)
    (challenge,) = validating.proofs_of(renewal, account, order_of(authorization(NAME))).to_answer()
    assert challenge.kind is ChallengeKind.DNS_01
    validating.clear(renewal, account)

"""To whom a name belongs that more than one organisation wants proved, with BIND."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from portal.adapters.ca.base import ChallengeKind
from portal.adapters.errors import AdapterError
from portal.domain.validation import ValidationMethod
from portal.models.catalogue import CaAccount
from portal.services import domain_validations, validating
from portal.services.acting import Actor
from tests.bind import Bind, bind
from tests.factories import Cast, Factory
from tests.services.validations import (
    CUSTOMER_ZONE,
    NAME,
    RECORD,
    ZONES,
    authorization,
    operators_account,
    order_of,
    renewal_of,
    use,
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
    return operators_account(factory, named)


@pytest.fixture
def other(cast: Cast) -> Actor:
    return Actor(cast.charlie.id, cast.other_organisation.id)


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

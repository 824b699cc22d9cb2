"""Unattended renewal through DNS, with everything real: pebble validates through BIND, which takes signed updates.

The customer has set one CNAME (or given credentials) once; the service's zone is another zone of the same server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.domain.renewal import RenewalState
from portal.domain.spec import DomainType
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.models.validation import ValidationRecord
from portal.services import ca_accounts, domain_validations
from portal.services.acting import Actor
from portal.services.driving import drive
from portal.services.renewal_steps import KIND
from tests.bind import Bind, bind
from tests.factories import Cast, Factory
from tests.pebble import Pebble, pebble
from tests.services.validations import CUSTOMER_ZONE, SERVICE_ZONE, ZONES, credential, delegate, service_zone

PATIENCE = 30.0


@pytest.fixture(scope="module")
def named() -> Iterator[Bind]:
    with bind(*ZONES) as server:
        yield server


@pytest.fixture(scope="module")
def ca(named: Bind) -> Iterator[Pebble]:
    """It validates for real, reuses nothing, and asks BIND."""
    with pebble(nonce_reject=20, environment={"PEBBLE_AUTHZREUSE": "0"}, resolver=named.address) as server:
        yield server


@pytest.fixture
def overrides(named: Bind) -> dict[str, Any]:
    return {"name_server_port": named.port}


@pytest.fixture
def actor(cast: Cast) -> Actor:
    return Actor(cast.alice.id, cast.organisation.id)


def renewal_at(ca: Pebble, named: Bind, factory: Factory, cast: Cast, name: str) -> Renewal:
    """A due renewal for one name at an account that has no DNS access of its own."""
    config = {"directory_url": ca.directory_url, "ca_bundle": ca.ca_bundle, "challenge": "dns-01"}
    account = ca_accounts.add("acme", "acme", {**config, "resolver": named.address}, {}, "test", factory.now)
    kind = DomainType.WILDCARD if name.startswith("*.") else DomainType.SINGLE
    product = factory.product(ca_account=account, domain_type=kind)
    factory.contact(cast.organisation)
    hosting = factory.hosting(factory.certificate(cast.organisation, names=(name,)), product)
    return factory.renewal(hosting, due=factory.now)


def drive_on(renewal_id: str, now: datetime) -> Renewal:
    """Step after step as the workers would, waits made short; until it is done or a person is needed."""
    deadline, at = time.monotonic() + PATIENCE, now
    while time.monotonic() < deadline:
        drive(KIND, renewal_id, lambda at=at: at)
        db.session.expire_all()
        renewal = db.session.get_one(Renewal, renewal_id)
        if renewal.state is RenewalState.DONE or renewal.stopped_at is not None:
            return renewal
        at = max(at + timedelta(seconds=1), renewal.next_attempt_at or at)
        time.sleep(0.1)
    return renewal


@pytest.mark.parametrize("method", [ValidationMethod.DELEGATION, ValidationMethod.CREDENTIALS])
@pytest.mark.parametrize("prefix", ["", "*."])
def test_a_name_is_proved_without_anybody_and_leaves_nothing_behind(
    ca: Pebble, named: Bind, factory: Factory, cast: Cast, actor: Actor, now: datetime,
    method: ValidationMethod, prefix: str,
) -> None:  # fmt: skip
    base = f"{method.value}-{'wild' if prefix else 'plain'}-{db.engine.dialect.name}.{CUSTOMER_ZONE}"
    renewal = renewal_at(ca, named, factory, cast, prefix + base)
    service_zone(named, now)
    if method is ValidationMethod.DELEGATION:
        (row,) = domain_validations.ensure(cast.organisation.id, [prefix + base], now)
        where, zone = delegate(named, row), SERVICE_ZONE
    else:
        own = credential(named, actor, now).id
        domain_validations.set_method(cast.organisation.id, base, method, actor, now, own)
        where, zone = f"_acme-challenge.{base}", CUSTOMER_ZONE
    named.set(zone, where, "TXT", '"somebody-else"')
    before = len(named.updates)
    renewal = drive_on(renewal.id, now)
    assert (renewal.state, renewal.error_code, renewal.error_params) == (RenewalState.DONE, None, None)
    assert renewal.successor is not None
    assert renewal.successor.names == [prefix + base]
    assert named.txt(where) == ["somebody-else"]
    changes = [one for one in named.updates[before:] if where in one]
    assert changes[-1].startswith("deleting an RR at")
    assert any(one.startswith("adding an RR at") and "somebody-else" not in one for one in changes)
    assert db.session.scalars(select(ValidationRecord)).all() == []


def test_a_broken_delegation_costs_the_ca_nothing_and_says_what_to_mend(
    ca: Pebble, named: Bind, factory: Factory, cast: Cast, now: datetime
) -> None:
    name = f"broken-{db.engine.dialect.name}.{CUSTOMER_ZONE}"
    renewal = renewal_at(ca, named, factory, cast, name)
    service_zone(named, now)
    (row,) = domain_validations.ensure(cast.organisation.id, [name], now)
    issued = len(ca.issued())
    stopped = drive_on(renewal.id, now)
    assert stopped.stopped_at is not None
    assert stopped.order_url is None
    target = delegate(named, row)
    assert target in str(stopped.error_params)
    stopped.stopped_at, stopped.next_attempt_at, stopped.attempts = None, now, 0
    db.session.commit()
    assert drive_on(renewal.id, now).state is RenewalState.DONE
    assert len(ca.issued()) == issued + 1

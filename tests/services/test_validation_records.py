"""Records that could not be taken away at once are remembered, and taken away later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import dns.tsig
import pytest
from sqlalchemy import insert, select, update

from portal.adapters.errors import AdapterError
from portal.domain.renewal import RenewalState
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.models.types import new_id
from portal.models.validation import ValidationRecord
from portal.services import delegation, domain_validations, housekeeping, validating, validation_records
from portal.services.acting import Actor
from tests.bind import KEY_NAME, KEY_SECRET, Bind, bind
from tests.dns_server import dns_server
from tests.factories import Cast, Factory
from tests.pebble import free_ports
from tests.services.validations import (
    CUSTOMER_ZONE,
    SERVICE_ZONE,
    ZONES,
    authorization,
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
LATER = timedelta(hours=2)


@pytest.fixture(scope="module")
def running() -> Iterator[Bind]:
    with bind(*ZONES) as server:
        yield server


@pytest.fixture
def named(running: Bind) -> Bind:
    running.set(CUSTOMER_ZONE, RECORD, "TXT")
    return running


@pytest.fixture
def overrides(running: Bind) -> dict[str, Any]:
    return {"name_server_port": running.port, "step_timeout": 1.0}


@pytest.fixture
def account(factory: Factory, named: Bind) -> CaAccount:
    return operators_account(factory, named)


@pytest.fixture
def placed(factory: Factory, cast: Cast, account: CaAccount, now: datetime) -> Renewal:
    """A renewal with a record at its name."""
    renewal = renewal_of(factory, cast.organisation, NAME)
    validating.present(renewal, account, order_of(authorization(NAME)), now)
    return renewal


def aim(account: CaAccount, server: str) -> None:
    """Have the account's provider at another address."""
    dns = account.config["dns"]
    config = {**account.config, "dns": {**dns, "config": {**dns["config"], "server": server}}}
    db.session.execute(update(CaAccount).where(CaAccount.id == account.id).values(config=config))
    db.session.commit()
    db.session.expire_all()


def records() -> list[ValidationRecord]:
    return list(db.session.scalars(select(ValidationRecord)))


@pytest.fixture
def stuck(placed: Renewal, account: CaAccount, named: Bind) -> Renewal:
    """The provider is away while the proof is to be taken away."""
    (nobody,) = free_ports(1)
    aim(account, f"127.0.0.1:{nobody}")
    validating.clear(placed, account)
    return placed


def test_a_provider_that_is_away_holds_nothing_up_and_the_record_is_remembered(
    stuck: Renewal, named: Bind
) -> None:
    assert [one.fqdn for one in records()] == [RECORD]
    assert named.txt(RECORD) == [value_of(authorization(NAME))]


def test_housekeeping_takes_away_what_was_left(
    stuck: Renewal, account: CaAccount, named: Bind, now: datetime
) -> None:
    aim(account, named.address)
    housekeeping.clean(now + LATER)
    assert (named.txt(RECORD), records()) == ([], [])


def test_what_is_younger_than_an_hour_is_left(
    stuck: Renewal, account: CaAccount, named: Bind, now: datetime
) -> None:
    aim(account, named.address)
    assert validation_records.sweep(now + timedelta(minutes=59)) == 0
    assert len(records()) == 1


@pytest.mark.parametrize("state", validation_records.NEEDED_IN)
def test_a_renewal_that_is_being_validated_keeps_its_records(
    placed: Renewal, named: Bind, now: datetime, state: RenewalState
) -> None:
    db.session.execute(update(Renewal).where(Renewal.id == placed.id).values(state=state))
    db.session.commit()
    assert validation_records.sweep(now + timedelta(days=30)) == 0
    assert named.txt(RECORD) == [value_of(authorization(NAME))]


def test_what_resists_for_a_week_is_given_up(stuck: Renewal, now: datetime) -> None:
    validation_records.sweep(now + timedelta(days=6))
    assert len(records()) == 1
    validation_records.sweep(now + timedelta(days=8))
    assert records() == []


def test_one_that_resists_does_not_hold_the_others_up(
    factory: Factory, cast: Cast, stuck: Renewal, named: Bind, now: datetime
) -> None:
    works = operators_account(factory, named)
    renewal = renewal_of(factory, cast.organisation, NAME)
    other = authorization(NAME, salt="other")
    validating.present(renewal, works, order_of(other), now)
    assert validation_records.sweep(now + LATER) == 1
    assert named.txt(RECORD) == [value_of(authorization(NAME))]


def test_a_record_in_a_zone_that_is_no_longer_ours_is_forgotten(
    factory: Factory, cast: Cast, actor: Actor, account: CaAccount, named: Bind, now: datetime
) -> None:
    service_zone(named, now)
    (row,) = domain_validations.ensure(cast.organisation.id, [NAME], now)
    where = delegate(named, row)
    renewal = renewal_of(factory, cast.organisation, NAME)
    try:
        validating.present(renewal, account, order_of(authorization(NAME)), now)
    finally:
        named.set(CUSTOMER_ZONE, RECORD, "CNAME")
    assert named.txt(where) == [value_of(authorization(NAME))]
    delegation.set_up(CUSTOMER_ZONE, "rfc2136", options_of(named, CUSTOMER_ZONE), named.address, "cli", now)
    validating.clear(renewal, account)
    assert records() == []
    named.set(SERVICE_ZONE, where, "TXT")


def test_a_record_is_noted_before_it_is_put(
    factory: Factory, cast: Cast, account: CaAccount, named: Bind, now: datetime
) -> None:
    """So that dying in between leaves a note to clean up by, and never a record that nobody knows of."""
    (nobody,) = free_ports(1)
    aim(account, f"127.0.0.1:{nobody}")
    renewal = renewal_of(factory, cast.organisation, NAME)
    account = db.session.get_one(CaAccount, account.id)
    with pytest.raises(AdapterError, match="dns_unavailable"):
        validating.present(renewal, account, order_of(authorization(NAME)), now)
    assert [one.fqdn for one in records()] == [RECORD]


def test_a_record_that_another_renewal_notes_just_then_is_put_back(
    factory: Factory, cast: Cast, placed: Renewal, account: CaAccount, now: datetime
) -> None:
    """The other one notes and adds the same value after we looked whether somebody does, before ours is removed."""
    theirs = renewal_of(factory, cast.other_organisation, NAME)
    value, engine = value_of(authorization(NAME)), db.engine
    row = {"renewal_id": theirs.id, "fqdn": RECORD, "value": value, "created_at": now}
    row |= {"id": new_id(), "method": ValidationMethod.OPERATOR, "ca_account_id": account.id}
    with dns_server(CUSTOMER_ZONE, dns.tsig.Key(KEY_NAME, KEY_SECRET)) as server:
        server.records[RECORD] = {"TXT": [f'"{value}"']}
        aim(account, server.address)
        answer = server.respond

        def noting(wire: bytes) -> bytes | None:
            if server.updates == 0:
                with engine.begin() as connection:
                    connection.execute(insert(ValidationRecord).values(**row))
            return answer(wire)

        server.respond = noting
        validating.clear(placed, account)
        assert server.txt(RECORD) == [value]
        assert server.updates == 2
    assert [one.renewal_id for one in records()] == [theirs.id]


def test_a_provider_that_is_away_is_asked_once_for_many_records(
    factory: Factory, cast: Cast, account: CaAccount, named: Bind, now: datetime
) -> None:
    names = [f"name-{number}.{CUSTOMER_ZONE}" for number in range(12)]
    renewal = renewal_of(factory, cast.organisation, *names)
    validating.present(renewal, account, order_of(*(authorization(name) for name in names)), now)
    assert [named.txt(f"_acme-challenge.{name}") for name in names] == [
        [value_of(authorization(name))] for name in names
    ]
    with dns_server(CUSTOMER_ZONE) as silent:
        silent.is_silent = True
        asked = []
        silent.respond = asked.append  # type: ignore[method-assign,assignment]
        aim(account, silent.address)
        validating.clear(renewal, account)
    assert len(asked) == 1
    assert len(records()) == 12
    aim(account, named.address)
    assert validation_records.sweep(now + LATER) == 12
    assert [named.txt(f"_acme-challenge.{name}") for name in names] == [[]] * 12

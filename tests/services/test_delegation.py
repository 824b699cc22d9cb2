"""The service's own zone: nothing is offered before a trial record has been read back from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.adapters.errors import AdapterError
from portal.adapters.key_vault import KeyVault, Place
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.history import AuditEntry
from portal.models.validation import DelegationZone
from portal.services import delegation
from tests.bind import KEY_SECRET, Bind, bind
from tests.pebble import free_ports
from tests.services.validations import CUSTOMER_ZONE, SERVICE_ZONE, options_of


@pytest.fixture(scope="module")
def named() -> Iterator[Bind]:
    with bind(SERVICE_ZONE, CUSTOMER_ZONE) as server:
        yield server


@pytest.fixture
def overrides(named: Bind) -> dict[str, Any]:
    return {"name_server_port": named.port, "step_timeout": 2.0}


def set_up(named: Bind, now: datetime, zone: str = SERVICE_ZONE, **changed: str) -> DelegationZone:
    given = {**options_of(named, zone.lower().rstrip(".")), **changed}
    return delegation.set_up(zone, "rfc2136", given, named.address, "cli", now)


def code_of(call: Any) -> str:
    with pytest.raises((DomainError, AdapterError)) as caught:
        call()
    return str(caught.value.code)


def test_a_probe_is_written_seen_and_taken_away(session: Any, named: Bind, now: datetime) -> None:
    set_up(named, now)
    assert delegation.find_verified() is None
    row = delegation.probe(now, 5)
    assert (row.zone, row.verified_at) == (SERVICE_ZONE, now)
    assert delegation.find_verified() is row
    added, deleted = named.updates[-2:]
    assert added.startswith("adding an RR at 'probe-")
    assert deleted.startswith("deleting an RR at probe-")
    assert added.split("'")[1] == deleted.split(" ")[4]


def test_every_probe_has_a_name_and_a_value_of_its_own(session: Any, named: Bind, now: datetime) -> None:
    set_up(named, now)
    before = len(named.updates)
    for _ in range(2):
        delegation.probe(now, 5)
    added = [one for one in named.updates[before:] if one.startswith("adding")]
    assert len(set(added)) == 2


def test_secrets_are_sealed_and_audited_without_them(
    session: Any, named: Bind, vault: KeyVault, now: datetime
) -> None:
    row = set_up(named, now)
    assert row.secrets is not None
    assert KEY_SECRET not in json.dumps(row.config)
    opened = vault.open(row.secrets, Place("", "delegation_zones", row.id, "secrets"))
    assert json.loads(opened) == {"key_secret": KEY_SECRET}
    entry = db.session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor, entry.params) == (
        "delegation_zone.set",
        "cli",
        {"zone": SERVICE_ZONE, "kind": "rfc2136"},
    )


def test_there_is_one_zone_and_another_takes_its_place_untried(
    session: Any, named: Bind, now: datetime
) -> None:
    set_up(named, now)
    delegation.probe(now, 5)
    set_up(named, now, f"{CUSTOMER_ZONE.upper()}.")
    assert db.session.scalar(select(func.count()).select_from(DelegationZone)) == 1
    row = delegation.find()
    assert row is not None
    assert (row.zone, row.verified_at) == (CUSTOMER_ZONE, None)
    assert delegation.probe(now, 5).zone == CUSTOMER_ZONE


@pytest.mark.parametrize("zone", ["", "com", "a..b", f"{'x' * 64}.com", ".".join(["x" * 60] * 4)])
def test_what_is_no_zone_is_refused(session: Any, named: Bind, now: datetime, zone: str) -> None:
    assert code_of(lambda: set_up(named, now, zone)) == "domain_invalid"


def test_settings_that_cannot_be_right_are_refused(session: Any, named: Bind, now: datetime) -> None:
    assert (
        code_of(lambda: delegation.set_up("svc.test", "other", {}, None, "cli", now))
        == "unknown_dns_provider"
    )
    assert code_of(lambda: delegation.set_up("svc.test", "rfc2136", {}, None, "cli", now)) == "field_missing"
    assert code_of(lambda: set_up(named, now, server="ns.example.com")) == "dns_settings"
    assert delegation.find() is None


def test_a_key_that_is_wrong_is_said_and_nothing_is_verified(
    session: Any, named: Bind, now: datetime
) -> None:
    set_up(named, now, key_secret="d3Jvbmctd3Jvbmctd3Jvbmctd3JvbmchIQ==")
    assert code_of(lambda: delegation.probe(now, 5)) == "dns_refused"
    assert delegation.find_verified() is None


def test_a_record_that_nobody_shows_verifies_nothing_and_is_taken_away(
    session: Any, named: Bind, now: datetime
) -> None:
    """Its zone is written to at one server and served by another."""
    with bind(SERVICE_ZONE) as elsewhere:
        set_up(named, now, server=elsewhere.address, key_name=elsewhere.options(SERVICE_ZONE)["key_name"])
        assert code_of(lambda: delegation.probe(now, 0)) == "delegation_probe_unseen"
        assert [one.partition(" ")[0] for one in elsewhere.updates] == ["adding", "deleting"]
    assert delegation.find_verified() is None


def test_a_zone_that_was_tried_out_stays_so_while_its_provider_is_away(
    session: Any, named: Bind, now: datetime
) -> None:
    set_up(named, now)
    delegation.probe(now, 5)
    row = delegation.find()
    assert row is not None
    (nobody,) = free_ports(1)
    row.config = {**row.config, "server": f"127.0.0.1:{nobody}"}
    db.session.commit()
    assert code_of(lambda: delegation.probe(now + timedelta(days=1), 1)) == "dns_unavailable"
    assert delegation.find_verified() is not None


def test_without_a_zone_there_is_nothing_to_probe(session: Any, now: datetime) -> None:
    assert code_of(lambda: delegation.probe(now)) == "delegation_zone_missing"

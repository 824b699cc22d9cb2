"""`portal doctor`: each thing that can be wrong has its finding, and its mending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from redis import Redis
from sqlalchemy import update

from portal.cli import context, doctor
from portal.doorbell import own_connection, redis_connection
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.services import ca_accounts, checkup, delegation, heartbeats, scanning
from portal.services.findings import Finding, Health
from portal.settings import Settings
from tests.dns_server import dns_server
from tests.factories import Factory
from tests.servers import MailServer


@pytest.fixture
def overrides() -> dict[str, Any]:
    """Nothing answers at this address, and says so at once."""
    return {"base_url": "http://127.0.0.1:1"}


def findings(settings: Settings, now: datetime) -> dict[str, Finding]:
    return {one.name: one for one in checkup.examine(settings, now)}


@pytest.fixture
def evicting(core_app: Flask) -> Iterator[Redis]:
    redis = redis_connection()
    redis.config_set("maxmemory-policy", "allkeys-lru")
    yield redis
    redis.config_set("maxmemory-policy", "noeviction")


def test_every_check_finds_something(core_app: Flask, settings: Settings, now: datetime) -> None:
    found = findings(settings, now)
    assert list(found) == [check.name for check in checkup.CHECKS]
    broken = {name for name, one in found.items() if one.health is Health.BROKEN}
    assert broken == {"workers", "scheduler", "expiry scan", "mail"}
    assert all(one.mend for one in found.values() if one.health is not Health.OK)


def test_a_living_installation_is_healthy(
    core_app: Flask, settings: Settings, mail_server: MailServer, factory: Factory, now: datetime
) -> None:
    heartbeats.beat(heartbeats.SCHEDULER, now)
    heartbeats.beat(scanning.SCAN, now)
    found = findings(settings, now)
    assert {found[name].health for name in ("scheduler", "expiry scan", "mail", "redis", "schema")} == {
        Health.OK
    }
    assert mail_server.messages == []


def test_a_silent_scheduler_is_broken(core_app: Flask, settings: Settings, now: datetime) -> None:
    heartbeats.beat(heartbeats.SCHEDULER, now - timedelta(hours=1))
    found = findings(settings, now)["scheduler"]
    assert found.health is Health.BROKEN
    assert "silent since" in found.detail


def test_an_evicting_redis_is_broken(evicting: Redis, settings: Settings, now: datetime) -> None:
    found = findings(settings, now)["redis"]
    assert found.health is Health.BROKEN
    assert "noeviction" in found.mend


def test_a_redis_that_is_away_breaks_its_own_checks_alone(
    core_app: Flask, settings: Settings, now: datetime
) -> None:
    core_app.extensions["redis"] = own_connection(replace(settings, redis_url="unix:///nowhere/redis.sock"))
    found = findings(settings, now)
    assert found["redis"].health is Health.BROKEN
    assert found["database"].health is Health.OK


def test_values_that_no_master_key_opens_are_broken(
    core_app: Flask, settings: Settings, now: datetime, session: Any
) -> None:
    account = ca_accounts.add("Internal", "private", {}, {}, "test", now)
    assert findings(settings, now)["master keys"].health is Health.OK
    sealed = bytearray(account.secrets or b"")
    sealed[20] ^= 1
    db.session.execute(update(CaAccount).values(secrets=bytes(sealed)))
    db.session.commit()
    found = findings(settings, now)["master keys"]
    assert found.health is Health.BROKEN
    assert "does not open" in found.detail


def test_an_unregistered_ca_account_is_broken(
    core_app: Flask, settings: Settings, now: datetime, session: Any
) -> None:
    account = ca_accounts.add("Internal", "private", {}, {}, "test", now)
    assert findings(settings, now)["CA accounts"].health is Health.BROKEN
    ca_accounts.ensure_registered(account)
    assert findings(settings, now)["CA accounts"].detail == "Internal answers"


def test_the_sandbox_gateway_is_a_warning(core_app: Flask, settings: Settings, now: datetime) -> None:
    found = findings(replace(settings, payment_sandbox_url="http://127.0.0.1:1"), now)["payment"]
    assert (found.health, found.detail) == (Health.WARNING, "the sandbox: no real money moves")


def test_an_old_schema_is_broken(core_app: Flask, settings: Settings, now: datetime, session: Any) -> None:
    session.execute(db.text("UPDATE alembic_version SET version_num = 'older'"))
    session.commit()
    try:
        found = findings(settings, now)["schema"]
        assert (found.health, found.mend) == (Health.BROKEN, "portal db upgrade")
    finally:
        session.execute(db.text("UPDATE alembic_version SET version_num = '0001'"))
        session.commit()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_command_prints_a_table_and_says_what_to_mend(
    core_app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "from_env", lambda: settings)
    done = CliRunner().invoke(doctor.doctor)
    assert done.exit_code == 1
    assert "workers" in done.output
    assert "start one: python -m jobs.worker" in done.output
    assert "Traceback" not in done.output


def test_a_delegation_zone_is_tried_out(
    core_app: Flask, settings: Settings, now: datetime, session: Any
) -> None:
    assert findings(settings, now)["delegation zone"].health is Health.OK
    with dns_server("svc.test") as server:
        given = {"server": server.address, "zone": "svc.test"}
        delegation.set_up("svc.test", "rfc2136", given, server.address, "cli", now)
        found = findings(settings, now)["delegation zone"]
        assert (found.health, found.detail) == (Health.OK, "svc.test: a trial record was written and seen")
        assert [one for name in server.records for one in server.txt(name)] == []
    found = findings(settings, now)["delegation zone"]
    assert found.health is Health.BROKEN
    assert "dns_unavailable" in found.detail
    assert "portal delegation probe" in found.mend

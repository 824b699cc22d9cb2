"""Fault 33: who cannot open what is stored must not start."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from portal.adapters.key_vault import KeyVault
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.services import rewrapping, starting
from portal.services.starting import WrongMasterKeysError
from portal.settings import Settings, child_environment
from tests import servers
from tests.databases import MASTER_KEYS
from tests.factories import Cast, Factory

RIGHT = f"1:{MASTER_KEYS[1].hex()}"
WRONG = f"1:{bytes(32).hex()}"


def with_keys(app: Flask, keys: dict[int, bytes]) -> None:
    app.extensions["vault"] = KeyVault(keys)


class TestCheck:
    def test_an_empty_installation_has_nothing_to_open(self, core_app: Flask) -> None:
        with_keys(core_app, {1: bytes(32)})
        assert starting.check_master_keys() == 0

    def test_the_right_keys_open_a_few_of_each_kind(
        self, core_app: Flask, factory: Factory, cast: Cast
    ) -> None:
        for _ in range(3):
            factory.certificate(cast.organisation)
        factory.ca_account()
        assert starting.check_master_keys() == 3

    def test_another_key_of_the_same_number_is_refused(self, core_app: Flask, factory: Factory) -> None:
        factory.ca_account()
        with_keys(core_app, {1: bytes(32)})
        with pytest.raises(WrongMasterKeysError, match="master key 1 does not open"):
            starting.check_master_keys()

    @pytest.mark.parametrize("end", [0, -1])
    def test_a_rotation_that_was_killed_midway_is_seen_at_either_end(
        self, core_app: Flask, factory: Factory, cast: Cast, end: int
    ) -> None:
        rows = sorted((factory.certificate(cast.organisation) for _ in range(3)), key=lambda row: row.id)
        both = {**MASTER_KEYS, 2: bytes(range(32, 64))}
        column = rewrapping.SEALED_COLUMNS[0]
        row = rows[end]
        row.private_key = KeyVault(both).rewrap(row.private_key or b"", column.place(row))
        db.session.commit()
        with pytest.raises(WrongMasterKeysError, match="master key 2 is not among the configured ones"):
            starting.check_master_keys()
        with_keys(core_app, both)
        assert starting.check_master_keys() == 2

    def test_the_key_of_a_renewal_under_way_counts(
        self, core_app: Flask, factory: Factory, cast: Cast, vault: KeyVault
    ) -> None:
        hosting = factory.hosting(factory.certificate(cast.organisation, with_key=False))
        under_way = factory.renewal(hosting, state=RenewalState.KEYED, started_at=factory.now)
        before = starting.check_master_keys()
        column = next(one for one in rewrapping.SEALED_COLUMNS if one.model is type(under_way))
        under_way.private_key = vault.seal(b"key", column.place(under_way))
        db.session.commit()
        assert starting.check_master_keys() == before + 1

    @pytest.mark.databases("sqlite")
    def test_a_database_that_is_away_holds_nobody_up(self, settings: Settings, tmp_path: Path) -> None:
        from portal.app import create_core

        gone = replace(settings, database_url=f"sqlite:///{tmp_path / 'gone' / 'portal.db'}")
        with create_core(gone).app_context():
            starting.refuse_wrong_keys("test")


def environment(settings: Settings, keys: str) -> dict[str, str]:
    return child_environment(
        {
            "PORTAL_DATA_DIR": str(settings.data_dir),
            "PORTAL_DATABASE_URL": settings.database_url,
            "PORTAL_REDIS_URL": settings.redis_url,
            "PORTAL_SECRET_KEY": "test-secret-key",
            "PORTAL_MASTER_KEYS": keys,
        }
    )


COMMANDS = {
    "worker": ("jobs.worker",),
    "scheduler": ("jobs.schedule",),
    "web": ("gunicorn", "portal.wsgi:serve()", "--preload", "--no-control-socket", "--bind", "127.0.0.1:0"),
}


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    yield [sys.executable, "-m", *COMMANDS[request.param]]


@pytest.mark.databases("sqlite")
class TestProcesses:
    @pytest.fixture(autouse=True)
    def something_sealed(self, core_app: Flask, factory: Factory) -> None:
        factory.ca_account()

    def test_wrong_keys_end_it_with_one_line(self, command: list[str], settings: Settings) -> None:
        done = subprocess.run(
            command, env=environment(settings, WRONG), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        (line,) = [one for one in done.stderr.splitlines() if "master key" in one]
        assert "do not open what is stored" in line
        assert "Traceback" not in done.stderr

    def test_the_right_ones_do_not(self, command: list[str], settings: Settings, tmp_path: Path) -> None:
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment(settings, RIGHT), stderr=output, stdout=output
            )
        try:
            ready = ("worker_started", "scheduler_started", "Booting worker")
            servers.wait_until(lambda: any(word in log.read_text() for word in ready), 60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            if process.poll() is None:
                servers.stop(process)


@pytest.mark.databases("sqlite")
def test_the_scheduler_too_refuses_a_redis_that_forgets(core_app: Flask, settings: Settings) -> None:
    with Redis.from_url(settings.redis_url) as connection:
        connection.config_set("maxmemory-policy", "allkeys-lru")
        try:
            done = subprocess.run(
                [sys.executable, "-m", "jobs.schedule"],
                env=environment(settings, RIGHT),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            connection.config_set("maxmemory-policy", "noeviction")
    assert done.returncode == 1
    assert "noeviction" in done.stderr

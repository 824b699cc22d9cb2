"""Fault 33: the master key is rotated while a renewal has its key, the wrapping is killed, the wrong key comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.models.deployment import CloudAccount
from portal.models.hosting import Renewal
from portal.services import rewrapping
from portal.settings import child_environment, parse_master_keys
from tests.databases import MASTER_KEYS
from tests.faults.world import World, done
from tests.servers import wait_until


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "master.keys"
    path.write_text("".join(f"{version}:{key.hex()}\n" for version, key in MASTER_KEYS.items()), "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def overrides(overrides: dict[str, Any], key_file: Path) -> dict[str, Any]:
    return {**overrides, "master_keys_file": key_file}


#: Values beside those of the story.
SEALED = 100


def test_fault_33_a_rotation_that_is_killed_midway_leaves_everything_readable_and_is_taken_up_again(
    world: World, key_file: Path
) -> None:
    world.pay_for("a.example.com")
    for _ in range(SEALED):
        world.factory.session.add(sealed(world))
    world.factory.session.commit()
    keys = {"PORTAL_MASTER_KEYS": "", "PORTAL_MASTER_KEYS_FILE": str(key_file)}
    with world.crew({"renewal.keyed.before": "sleep:2"}, workers=1, **keys) as crew:
        world.wait(crew, lambda: world.reached("renewal.keyed.before"))
        assert db.session.scalar(select(func.count()).where(Renewal.private_key.is_not(None))) == 1
        kill_a_rotation(world, keys)
        midway = versions(world)
        assert set(midway) == {1, 2}
        world.wait(crew)
        rotated = rotate(world, keys)
        assert rotated.returncode == 0, rotated.stderr
        world.check(crew.log())
    left = versions(world)
    assert set(left) == {3}
    assert sum(left.values()) >= SEALED
    done(world)
    text = key_file.read_text("utf-8")
    newest = max(parse_master_keys(text))
    kept = f"{newest}:{parse_master_keys(text)[newest].hex()}"
    with world.crew(workers=1, PORTAL_MASTER_KEYS=kept) as crew:
        wait_until(lambda: "worker_started" in crew.log(), 40, "a worker with the newest key alone")
        assert crew.deaths.total() == 0


def sealed(world: World) -> CloudAccount:
    """A credential."""
    session, world.factory.session = world.factory.session, _NotYet()
    try:
        return world.factory.cloud_account(world.cast.organisation, secrets={"token": "x" * 40})
    finally:
        world.factory.session = session


class _NotYet:
    """Takes a row and commits nothing: hundreds are committed at once."""

    def add(self, _row: object) -> None: ...
    def commit(self) -> None: ...
    def expire_all(self) -> None: ...


def rotate(world: World, keys: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portal.cli", "keys", "rotate"],
        env=child_environment({**world.environment, **keys}),
        capture_output=True,
        text=True,
        timeout=60,
    )


def kill_a_rotation(world: World, keys: dict[str, str]) -> None:
    """Begin one, and kill it once some values are under the new key."""
    db.session.rollback()
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.cli", "keys", "rotate"],
        env=child_environment(
            {**world.environment, **keys, "PORTAL_FAULTS": json.dumps({"rewrapping.row": "sleep:30"})}
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 40
        while 2 not in versions(world):
            assert process.poll() is None, "it was too quick"
            assert time.monotonic() < deadline
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def versions(world: World) -> dict[int, int]:
    db.session.rollback()
    db.session.expire_all()
    found = rewrapping.versions_in_use()
    db.session.rollback()
    return found


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("module", ["jobs.worker", "jobs.schedule"])
def test_fault_33_nobody_starts_under_a_wrong_key(world: World, module: str) -> None:
    world.pay_for("a.example.com")
    db.session.rollback()
    wrong = {"PORTAL_MASTER_KEYS": f"1:{'ab' * 32}"}
    ended = subprocess.run(
        [sys.executable, "-m", module],
        env=child_environment({**world.environment, **wrong}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "master keys do not open" in ended.stderr
    assert "ab" * 32 not in ended.stderr

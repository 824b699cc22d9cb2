"""`portal keys rotate`."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask

from portal.cli import context
from portal.cli.keys import keys
from portal.services import rewrapping
from portal.settings import Settings, parse_master_keys
from tests.databases import MASTER_KEYS
from tests.factories import Cast, Factory

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "master.keys"
    path.write_text("".join(f"{version}:{key.hex()}\n" for version, key in MASTER_KEYS.items()), "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def overrides(key_file: Path) -> dict[str, object]:
    return {"master_keys_file": key_file}


@pytest.fixture(autouse=True)
def this_installation(core_app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "from_env", lambda: settings)


def test_a_key_is_added_everything_is_wrapped_anew_and_running_processes_follow(
    factory: Factory, cast: Cast, key_file: Path
) -> None:
    factory.certificate(cast.organisation)
    done = CliRunner().invoke(keys, ["rotate"])
    assert done.exit_code == 0, done.output
    assert "1 sealed values wrapped anew" in done.output
    assert sorted(parse_master_keys(key_file.read_text("utf-8"))) == [1, 2]
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    factory.session.expire_all()
    assert rewrapping.versions_in_use() == {2: 1}
    assert rewrapping.check_all() == 1


def test_keys_of_the_environment_are_added_by_hand(
    settings: Settings, factory: Factory, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory.certificate(cast.organisation)
    two = {**MASTER_KEYS, 2: bytes(32)}
    by_hand = replace(settings, master_keys=two, master_keys_file=None)
    monkeypatch.setattr(context, "from_env", lambda: by_hand)
    done = CliRunner().invoke(keys, ["rotate"])
    assert "1 sealed values wrapped anew" in done.output
    assert "Master key 1 seals nothing any more" in done.output


def test_no_key_is_ever_printed(factory: Factory, cast: Cast, key_file: Path) -> None:
    factory.certificate(cast.organisation)
    output = CliRunner().invoke(keys, ["rotate"]).output
    assert not any(key.hex() in output for key in parse_master_keys(key_file.read_text("utf-8")).values())

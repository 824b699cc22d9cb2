"""`portal scan`, `portal work` and `portal catalog load` as commands."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask

from portal.cli import context
from portal.cli.catalog import catalog
from portal.cli.scan import scan
from portal.cli.work import work
from portal.doorbell import queue
from portal.models.hosting import Renewal
from portal.queue import QueueName
from portal.settings import Settings
from tests.factories import Cast, Factory

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def this_installation(core_app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "from_env", lambda: settings)


@pytest.fixture
def renewal(factory: Factory, cast: Cast, now: datetime) -> Renewal:
    return factory.renewal(factory.hosting(factory.certificate(cast.organisation)), due=now)


def run(command: click.Command, *arguments: str) -> Result:
    done = CliRunner().invoke(command, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_a_dry_run_lists_and_rings_for_nothing(renewal: Renewal) -> None:
    done = run(scan, "--dry-run")
    assert f"renewal {renewal.id}" in done.output
    assert queue(QueueName.RENEWAL).count == 0


def test_a_scan_hands_what_is_due_to_the_workers(renewal: Renewal) -> None:
    assert "1 renewals" in run(scan).output
    assert queue(QueueName.RENEWAL).count == 1


def test_working_until_idle_does_it_here(renewal: Renewal) -> None:
    assert "nothing is due now" in run(work, "--until-idle", "--patience", "0").output
    assert run(scan, "--dry-run").output == ""


def test_a_catalogue_is_loaded_and_a_wrong_one_is_one_line(factory: Factory, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text('hosting_fee = "270.00"\n', "utf-8")
    assert "price book edition 1 holds" in run(catalog, "load", str(file)).output
    file.write_text("hosting_fee = 'much'\n", "utf-8")
    refused = run(catalog, "load", str(file))
    assert refused.exit_code == 1
    assert "hosting_fee" in refused.output
    assert "Traceback" not in refused.output

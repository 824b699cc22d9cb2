"""The whole sandbox with one command."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import requests

from portal.embedded import programs
from portal.sandbox.world import (
    Ports,
    SandboxWorld,
    make_secrets,
    payment_secret_file,
    portal_environment,
    token_file,
)
from portal.settings import child_environment, from_env
from tests.servers import stop, wait_until

HOST = "127.0.0.1"


def free_ports() -> Ports:
    return Ports(**{part.name: programs.free_port(HOST, 0) for part in fields(Ports)})


def test_every_part_answers_where_it_says(tmp_path: Path) -> None:
    ports = free_ports()
    with SandboxWorld(tmp_path, HOST, ports) as world:
        token = token_file(tmp_path).read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{world.cloud.url}/v1/domains", headers=headers, timeout=5).json() == {
            "domains": []
        }
        assert requests.get(f"{world.mailbox.url}/api/messages", timeout=5).json()["count"] == 0
        assert requests.get(f"{world.payment.url}/pay", timeout=5).status_code == 400
        assert world.cloud.edge_address == f"{HOST}:{ports.edge}"
        assert world.mailbox.smtp_url == f"smtp://{HOST}:{ports.smtp}"
    world.stop()


def test_secrets_are_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    files = token_file(tmp_path), payment_secret_file(tmp_path)
    before = [path.read_text() for path in files]
    make_secrets(tmp_path)
    assert [path.read_text() for path in files] == before
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)


def test_a_portal_reads_its_part_of_it_from_the_environment(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    ports = Ports()
    settings = from_env(
        {"PORTAL_DATA_DIR": str(tmp_path / "var"), **portal_environment(tmp_path, HOST, ports)}
    )
    assert settings.payment_sandbox_url == f"http://{HOST}:{ports.payment}"
    assert settings.payment_sandbox_secret == payment_secret_file(tmp_path).read_text().strip()
    assert settings.mail_url == f"smtp://{HOST}:{ports.smtp}"
    assert settings.allowed_networks == ("127.0.0.0/8",)


def test_the_command_says_what_a_portal_must_be_told_and_ends_when_told(tmp_path: Path) -> None:
    ports = free_ports()
    options = [
        part for one in fields(Ports) for part in (f"--{one.name}-port", str(getattr(ports, one.name)))
    ]
    environment = child_environment({"PORTAL_DATA_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"})
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal.cli", "sandbox", *options], env=environment, stdout=out, stderr=out
        )
    try:
        wait_until(lambda: "Ctrl-C ends it" in (tmp_path / "out").read_text())
        exports = dict(re.findall(r"^export (\w+)=(.*)$", (tmp_path / "out").read_text(), re.M))
        assert exports["PORTAL_MAIL_URL"] == f"smtp://{HOST}:{ports.smtp}"
        secret = payment_secret_file(tmp_path / "sandbox").read_text().strip()
        assert secret not in json.dumps(exports)
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    finally:
        stop(process)

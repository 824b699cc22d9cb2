"""`portal demo`, run as somebody at a terminal runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from portal.cli.demo.command import demo
from portal.cli.demo.report import Report
from portal.embedded import programs
from portal.sandbox.world import Ports
from portal.settings import child_environment
from tests import pki
from tests.embedded.test_supervisor import is_running
from tests.servers import short_folder, stop, wait_until

PORTAL = [sys.executable, "-m", "portal.cli", "demo"]
SECONDS = 100

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place whose demo has ports of its own: other tests may run one at the same moment."""
    with short_folder("demo") as one:
        (one / "var").mkdir(mode=0o700)
        yield one


def choose_ports(folder: Path) -> None:
    """Have the demo remember free ports, as if from an earlier run."""
    ports = {part.name: programs.free_port("127.0.0.1", 0) for part in fields(Ports)}
    (folder / "var" / "demo.json").write_text(json.dumps({"ports": ports}))


def environment(folder: Path) -> dict[str, str]:
    return child_environment({"PORTAL_DATA_DIR": str(folder / "var")})


def play(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and the object on the last line of its output."""
    if not (folder / "var" / "demo.json").exists():
        choose_ports(folder)
    port = str(programs.free_port("127.0.0.1", 0))
    command = [*PORTAL, "--exit", "--json", "--port", port, *arguments]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=SECONDS)
    assert "Traceback" not in done.stderr
    assert done.stdout.strip(), done.stderr
    return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])


def check(result: dict[str, Any]) -> None:
    """What the README promises of the object."""
    assert set(result) == {"ok", "steps", "served_before", "served_after", "mails"}
    assert all(set(step) == {"name", "outcome", "seconds"} for step in result["steps"])
    assert all(set(result[name]) == {"serial", "not_after"} for name in ("served_before", "served_after"))
    assert result["ok"] is True
    assert result["served_before"]["serial"] != result["served_after"]["serial"]
    assert sum(step["seconds"] for step in result["steps"]) < 20
    assert not [step for step in result["steps"] if step["outcome"].startswith("failed")]


def test_the_story_ends_with_another_serial_and_so_does_the_second_on_the_same_folder(folder: Path) -> None:
    for mails in (3, 3):
        code, result = play(folder)
        assert code == 0
        check(result)
        assert result["mails"] == mails
    kept = folder / "var" / "demo.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["runs"] == 2


def test_a_certificate_of_ones_own_is_hosted_at_any_time_and_again(folder: Path, tmp_path: Path) -> None:
    made = pki.make_certificate(("*.mine.example.org",), expires_in=timedelta(days=150), key_type="rsa-2048")
    given = write(tmp_path, made.fullchain_pem, made.key_pem)
    code, first = play(folder, *given)
    assert code == 0
    check(first)
    assert first["served_before"]["serial"] == f"{made.leaf.serial_number:x}"
    code, second = play(folder, *given)
    assert code == 0
    check(second)
    assert second["served_before"] == first["served_after"]


def test_it_serves_until_told_to_end_and_leaves_nothing_behind(folder: Path) -> None:
    choose_ports(folder)
    port = str(programs.free_port("127.0.0.1", 0))
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [*PORTAL, "--json", "--port", port], env=environment(folder), stdout=out, stderr=err
        )
    try:
        wait_until(
            lambda: "Serving until" in (folder / "err").read_text() or process.poll() is not None, SECONDS
        )
        told = (folder / "err").read_text()
        portal = re.search(r"^portal +(\S+)$", told, re.M)
        customer = re.search(r"^  customer +(\S+)  (\S+)$", told, re.M)
        assert portal, told
        assert customer, told
        assert log_in(portal[1], customer[1], customer[2]) == "/"
        assert requests.get(f"{portal[1]}/readyz", timeout=10).json()["status"] == "ok"
        mailbox = re.search(r"^mailbox +(\S+)$", told, re.M)
        assert mailbox
        assert requests.get(f"{mailbox[1]}/api/messages", timeout=10).json()["count"] == 4
        check(json.loads((folder / "out").read_text()))
        started = children(process.pid)
        assert len(started) >= 6
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    finally:
        stop(process, 40)
    assert not any(is_running(pid) for pid in started)


def log_in(url: str, email: str, password: str) -> str:
    """The path that logging in leads to."""
    with requests.Session() as session:
        page = session.get(f"{url}/login", timeout=10).text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert token
        form = {"csrf_token": token[1], "email": email, "password": password}
        answer = session.post(f"{url}/login", data=form, headers={"Referer": f"{url}/login"}, timeout=10)
        return answer.url.removeprefix(url)


def children(pid: int) -> list[int]:
    """The processes that `pid` started, and theirs."""
    own = [
        int(one) for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()
    ]
    return own + [below for one in own for below in children(one)]


def test_a_folder_with_an_installation_that_is_no_demos_is_left_alone(folder: Path) -> None:
    settled = [sys.executable, "-m", "portal.cli"]
    for command in (["db", "upgrade"], ["create-operator", "real@example.org", "--generate"]):
        subprocess.run(
            [*settled, *command], env=environment(folder), check=True, capture_output=True, timeout=60
        )
    refused = subprocess.run(
        [*PORTAL, "--exit"], env=environment(folder), capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    assert "is no demo's" in refused.stderr
    assert not (folder / "var" / "demo.json").exists()


# What is given on the command line


def write(folder: Path, certificate: str | bytes, key: str | bytes) -> list[str]:
    """The two files, as options."""
    paths = folder / "given.pem", folder / "given.key"
    for path, content in zip(paths, (certificate, key), strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return ["--certificate", str(paths[0]), "--key", str(paths[1])]


GOOD = pki.make_certificate()
EXPIRED = pki.make_certificate(expires_in=timedelta(days=-1))

WRONG = {
    "expired": (EXPIRED.fullchain_pem, EXPIRED.key_pem, "expired on"),
    "mismatched": (GOOD.fullchain_pem, pki.key_pem(pki.key("ec-p256", 7)), "does not belong"),
    "encrypted": (GOOD.fullchain_pem, pki.key_pem(GOOD.key, "secret"), "encrypted"),
    "text": ("hello", GOOD.key_pem, "No certificate found"),
    "binary": (b"\x30\x82\x01\x00", GOOD.key_pem, "DER"),
    "swapped": (GOOD.key_pem, GOOD.fullchain_pem, "private key"),
    "no key": (GOOD.fullchain_pem, "hello", "No private key found"),
    "large": (GOOD.fullchain_pem + " " * 10_000_000, GOOD.key_pem, "limited to 256 KiB"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_certificate_is_one_clear_line_and_starts_nothing(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key, said = WRONG[wrong]
    monkeypatch.setenv("PORTAL_DATA_DIR", str(tmp_path / "var"))
    done = CliRunner().invoke(demo, ["--exit", *write(tmp_path, certificate, key)])
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "var").exists()


def test_a_file_that_is_not_there_and_a_key_alone_are_refused(tmp_path: Path) -> None:
    missing = CliRunner().invoke(
        demo, ["--certificate", str(tmp_path / "no.pem"), "--key", str(tmp_path / "no.key")]
    )
    assert (missing.exit_code, "No such file" in missing.output) == (2, True)
    alone = CliRunner().invoke(demo, ["--key", str(tmp_path / "no.key")])
    assert (alone.exit_code, "go together" in alone.output) == (2, True)


def test_a_story_without_a_new_serial_is_not_ok() -> None:
    lines: list[str] = []
    report = Report(say=lines.append)
    with pytest.raises(LookupError), report.step("look", LookupError):
        raise LookupError("nothing there")
    assert not report.ok
    result = json.loads(report.as_json())
    assert result["steps"][0]["outcome"] == "failed: nothing there"
    assert result["served_after"] is None
    assert "DID NOT COME TO ITS END" in report.as_table()
    assert len(lines) == 1

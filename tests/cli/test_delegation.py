"""`portal delegation`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from portal.cli import context, portal
from portal.services import delegation
from portal.settings import Settings
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer
from tests.bind import KEY_SECRET, Bind, bind
from tests.dns_server import DnsServer, dns_server

pytestmark = pytest.mark.databases("sqlite")

ZONE = "svc.test"


@pytest.fixture(scope="module")
def named() -> Iterator[Bind]:
    with bind(ZONE) as server:
        yield server


@pytest.fixture
def overrides(named: Bind) -> dict[str, Any]:
    return {"name_server_port": named.port}


@pytest.fixture(autouse=True)
def installation(core_app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands work on this test's database."""
    monkeypatch.setattr(context, "from_env", lambda: settings)


def run(*words: str) -> Result:
    return CliRunner().invoke(portal, ["delegation", *words])


def set_words(named: Bind, folder: Path, secret: str = KEY_SECRET) -> list[str]:
    file = folder / "key"
    file.write_text(f"{secret}\n")
    words = ["set", ZONE, "--dns", "rfc2136", "--resolver", named.address]
    options = [f"{key}={value}" for key, value in named.options(ZONE).items()]
    words += [word for option in options for word in ("--dns-option", option)]
    return [*words, "--dns-secret-file", f"key_secret={file}"]


def test_a_zone_is_set_tried_out_and_shown(named: Bind, tmp_path: Path) -> None:
    done = run(*set_words(named, tmp_path))
    assert done.exit_code == 0, done.output
    assert "customers can delegate to it" in done.output
    shown = run("show").output
    assert f"zone\t{ZONE}\n" in shown
    assert f"resolver\t{named.address}" in shown
    assert "tried out\t20" in shown
    assert KEY_SECRET not in done.output + shown
    assert run("probe").exit_code == 0


def test_a_wrong_key_is_said_and_the_settings_are_kept_to_be_mended(named: Bind, tmp_path: Path) -> None:
    failed = run(*set_words(named, tmp_path, "d3Jvbmctd3Jvbmctd3Jvbmctd3JvbmchIQ=="))
    assert failed.exit_code == 1
    assert "dns_refused" in failed.output
    assert "never: portal delegation probe" in run("show").output
    assert delegation.find_verified() is None
    assert run(*set_words(named, tmp_path)).exit_code == 0


def test_without_a_zone_there_is_nothing_to_show_or_probe() -> None:
    for word in ("show", "probe"):
        failed = run(word)
        assert failed.exit_code == 1
        assert "delegation_zone_missing" in failed.output
        assert "no zone for delegations yet" in failed.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dns", "rfc2136", "--dns-option", "key_secret=x"), "--dns-secret-file key_secret=FILE"),
        (("--dns", "rfc2136", "--dns-option", "server"), "expected KEY=VALUE"),
        (("--dns", "rfc2136", "--dns-secret-file", "key_secret=/nowhere"), "cannot read /nowhere"),
        (("--dns", "other"), "rfc2136"),
        ((), "--dns"),
    ],
)
def test_mistakes_are_told_before_anything_is_stored(words: tuple[str, ...], said: str) -> None:
    failed = run("set", ZONE, *words)
    assert failed.exit_code == 2
    assert said in failed.output
    assert delegation.find() is None


class TestAliDns:
    """The same with AliDNS; a resolver shows what is written there."""

    @pytest.fixture
    def cloud(self) -> Iterator[AliyunServer]:
        with AliyunServer() as server:
            server.dns.zones.append(ZONE)
            yield server

    @pytest.fixture
    def overrides(self, cloud: AliyunServer) -> dict[str, Any]:
        return {"aliyun_endpoints": cloud.endpoints}

    @pytest.fixture
    def resolver(self, cloud: AliyunServer) -> Iterator[DnsServer]:
        with dns_server(ZONE) as server:
            answer = server.respond

            def after_a_look(wire: bytes) -> bytes | None:
                for one in cloud.dns.records:
                    server.records[f"{one.rr}.{one.zone}"] = {"TXT": [f'"{one.value}"']}
                return answer(wire)

            server.respond = after_a_look  # type: ignore[method-assign]
            yield server

    def test_a_zone_is_set_and_tried_out(
        self, cloud: AliyunServer, resolver: DnsServer, tmp_path: Path
    ) -> None:
        file = tmp_path / "secret"
        file.write_text(ACCESS_KEY_SECRET)
        done = run(
            "set", ZONE, "--dns", "aliyun", "--dns-option", f"access_key_id={ACCESS_KEY_ID}",
            "--dns-secret-file", f"access_key_secret={file}", "--resolver", resolver.address,
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert cloud.count("AddDomainRecord") == 1
        assert cloud.dns.records == []
        assert ACCESS_KEY_SECRET not in done.output

"""`portal cloud-account` and `portal target`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from portal.cli import portal
from portal.settings import Settings
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer
from tests.factories import Factory

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def server() -> Iterator[AliyunServer]:
    with AliyunServer() as started:
        yield started


@pytest.fixture
def environment(settings: Settings, server: AliyunServer, factory: Factory) -> dict[str, str]:
    factory.organisation("Acme")
    return {
        "PORTAL_DATA_DIR": str(settings.data_dir),
        "PORTAL_DATABASE_URL": settings.database_url,
        "PORTAL_REDIS_URL": settings.redis_url,
        "PORTAL_MASTER_KEYS": " ".join(
            f"{number}:{key.hex()}" for number, key in settings.master_keys.items()
        ),
        "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
        "PORTAL_ALIYUN_ENDPOINTS": json.dumps(server.endpoints),
    }


def run(environment: dict[str, str], *arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(portal, arguments, env=environment, input=given)


def add(environment: dict[str, str], *more: str, given: str | None = None) -> Result:
    start = (
        "cloud-account",
        "add",
        "main",
        "--provider",
        "aliyun",
        "--set",
        f"access_key_id={ACCESS_KEY_ID}",
    )
    return run(environment, *start, *more, given=given)


def test_an_account_and_a_target_are_added_and_listed(environment: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{ACCESS_KEY_SECRET}\n")
    added = add(environment, "--secret-file", f"access_key_secret={secret}")
    assert added.exit_code == 0, added.output
    assert "the cloud accepts its credentials" in added.output
    listed = run(environment, "cloud-account", "list").output
    assert "main\taliyun\tchecked " in listed
    target = run(
        environment,
        "target",
        "add",
        "shop.example.com",
        "--account",
        "main",
        "--live-address",
        "127.0.0.1:8443",
    )
    assert target.exit_code == 0, target.output
    assert run(environment, "target", "list").output.startswith("shop.example.com\tcdn\tmain\t-\t")
    assert ACCESS_KEY_SECRET not in added.output + listed


def test_a_secret_is_asked_for_and_not_shown(environment: dict[str, str]) -> None:
    added = add(environment, given=f"{ACCESS_KEY_SECRET}\n")
    assert added.exit_code == 0, added.output
    assert ACCESS_KEY_SECRET not in added.output


def test_a_secret_on_the_command_line_is_refused(environment: dict[str, str]) -> None:
    refused = add(environment, "--set", f"access_key_secret={ACCESS_KEY_SECRET}")
    assert refused.exit_code == click.UsageError.exit_code
    assert "--secret-file access_key_secret=FILE" in refused.output
    assert ACCESS_KEY_SECRET not in refused.output


def test_wrong_credentials_are_kept_and_said(environment: dict[str, str]) -> None:
    added = add(environment, given="not-the-secret\n")
    assert added.exit_code == 2
    assert "cloud_credentials" in added.output
    assert "cdn:SetCdnDomainSSLCertificate" in added.output
    assert "main\taliyun\tcloud_credentials\t" in run(environment, "cloud-account", "list").output


def test_without_a_check_the_cloud_is_not_called(environment: dict[str, str], server: AliyunServer) -> None:
    assert add(environment, "--no-check", given="anything\n").exit_code == 0
    assert server.calls == []
    assert "\tunchecked\t" in run(environment, "cloud-account", "list").output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("cloud-account", "list", "--organisation", "Nobody"), 1, "organisation_not_found"),
        (("target", "add", "shop.example.com", "--account", "none"), 1, "cloud_account_not_found"),
        (("cloud-account", "add", "x", "--provider", "aliyun", "--set", "nonsense"), 2, "expected FIELD="),
        (
            (
                "cloud-account",
                "add",
                "x",
                "--provider",
                "aliyun",
                "--secret-file",
                "access_key_secret=/nowhere",
            ),
            2,
            "cannot read /nowhere",
        ),
    ],
)
def test_mistakes_are_one_line(
    environment: dict[str, str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = run(environment, *arguments)
    assert result.exit_code == code
    assert said in result.output

"""`portal ca`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from flask import Flask

from portal.cli import context, portal
from portal.services import ca_accounts
from portal.settings import Settings
from tests.pebble import Pebble, pebble

pytestmark = pytest.mark.databases("sqlite")

EAB = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


@pytest.fixture(scope="module")
def server() -> Iterator[Pebble]:
    """One that wants external account binding."""
    with pebble(nonce_reject=20, eab=EAB) as running:
        yield running


@pytest.fixture(autouse=True)
def installation(core_app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands work on this test's database."""
    monkeypatch.setattr(context, "from_env", lambda: settings)


def run(*words: str) -> Result:
    return CliRunner().invoke(portal, ["ca", *words])


def acme_words(server: Pebble, folder: Path, kid: str = "kid-1") -> list[str]:
    """The options of an account there."""
    hmac = folder / "hmac"
    hmac.write_text(EAB["kid-1"] + "\n")
    words = ["--directory", server.directory_url, "--ca-bundle", str(server.ca_bundle_path)]
    words += ["--eab-kid", kid, "--eab-hmac-file", str(hmac), "--resolver", server.dns_address]
    options = [f"{key}={value}" for key, value in server.dns_options.items()]
    return [*words, "--dns", "sandbox", *(word for option in options for word in ("--dns-option", option))]


def test_a_private_ca_needs_a_name_alone() -> None:
    done = run("add", "Internal", "--option", "validity_days=90")
    assert done.exit_code == 0, done.output
    account = ca_accounts.get("Internal")
    assert (account.kind, account.config["validity_days"]) == ("private", "90")
    assert account.account_url in done.output


def test_an_acme_account_is_registered_with_its_binding(server: Pebble, tmp_path: Path) -> None:
    done = run("add", "Public", *acme_words(server, tmp_path))
    assert done.exit_code == 0, done.output
    account = ca_accounts.get("Public")
    assert (account.kind, account.config["challenge"]) == ("acme", "dns-01")
    assert account.account_url is not None
    assert account.account_url.startswith("https://127.0.0.1")
    assert EAB["kid-1"] not in str(account.config) + done.output
    assert ca_accounts.connect(account).new_order(("a.example.com",)).url


def test_a_registration_that_failed_is_mended_by_the_same_command(server: Pebble, tmp_path: Path) -> None:
    wrong = run("add", "Public", *acme_words(server, tmp_path, "kid-9"))
    assert wrong.exit_code == 1
    assert "[ca_refused(" in wrong.output
    assert ca_accounts.get("Public").account_url is None
    assert run("add", "Public", *acme_words(server, tmp_path)).exit_code == 0


def test_accounts_are_listed_without_secrets() -> None:
    run("add", "One")
    run("add", "Two")
    lines = run("list").output.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["One", "private"], ["Two", "private"]]
    assert "PRIVATE" not in run("list").output


def test_the_root_of_a_private_ca_is_printed() -> None:
    run("add", "Internal", "--option", "subject=Acme Works")
    root = x509.load_pem_x509_certificate(run("root", "Internal").output.encode())
    assert "Acme Works Root" in root.subject.rfc4514_string()


def test_the_list_of_a_private_ca_is_printed_or_written(tmp_path: Path) -> None:
    run("add", "Internal")
    crl = x509.load_pem_x509_crl(run("crl", "Internal").stdout_bytes)
    assert len(list(crl)) == 0
    assert run("crl", "Internal", "--der", "--output", str(tmp_path / "list.crl")).exit_code == 0
    assert x509.load_der_x509_crl((tmp_path / "list.crl").read_bytes()) == crl


def test_a_manual_ca_needs_a_name_alone_and_has_no_list() -> None:
    done = run("add", "CFCA OV", "--kind", "manual", "--option", "portal_url=https://ca.test/orders")
    assert done.exit_code == 0, done.output
    assert ca_accounts.get("CFCA OV").config == {"portal_url": "https://ca.test/orders"}
    assert run("crl", "CFCA OV").exit_code == 2
    assert run("root", "CFCA OV").exit_code == 2


def test_a_taken_name_is_one_line() -> None:
    run("add", "Internal")
    done = run("add", "Internal")
    assert (done.exit_code, done.output) == (
        1,
        "Error: There is a CA account called Internal already. [ca_name_taken(name=Internal)]\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--directory", "https://ca.test/dir", "--challenge", "dns-01"),
        ("--directory", "https://ca.test/dir", "--eab-kid", "kid"),
        ("--option", "nonsense"),
        ("--kind", "unheard-of"),
        ("--dns", "unheard-of"),
    ],
)
def test_wrong_usage_is_explained_and_adds_nothing(words: tuple[str, ...]) -> None:
    done = run("add", "Wrong", *words)
    assert done.exit_code == 2
    assert ca_accounts.list_all() == []


def test_a_dns_provider_without_its_server_is_refused() -> None:
    done = run("add", "Wrong", "--directory", "https://ca.test/dir", "--dns", "rfc2136")
    assert (
        done.exit_code,
        "Please fill in dns.server. [field_missing(field=dns.server)]" in done.output,
    ) == (1, True)


def test_an_account_has_limits_that_can_be_seen_and_changed() -> None:
    assert run("add", "Limited", "--limits", "letsencrypt", "--max-in-flight", "20").exit_code == 0
    shown = run("limits", "Limited").output
    for word in ("Limited: ready", "0 of 20", "new_orders\t300 of 300 left"):
        assert word in shown
    own = '[{"name": "own", "counts": "domain", "event": "certificate", "capacity": 7, "seconds": 60}]'
    shown = run("limits", "Limited", "--set", own, "--max-in-flight", "").output
    assert "own\t7 of 7 left" in shown
    assert "0 of any number" in shown


@pytest.mark.parametrize("words", [("--limits", "fantasy"), ("--max-in-flight", "0"), ("--limits", "[1")])
def test_limits_that_make_no_sense_add_no_account(words: tuple[str, str]) -> None:
    assert run("add", "Wrong", *words).exit_code != 0
    assert ca_accounts.find("Wrong") is None


def test_an_account_is_paused_and_resumed_by_name() -> None:
    run("add", "Internal")
    assert run("pause", "Internal", "--reason", "maintenance").output == "Internal: paused\n"
    assert "Internal: paused" in run("limits", "Internal").output
    assert run("resume", "Internal").output == "Internal: resumed\n"
    unknown = run("pause", "Nobody")
    assert unknown.exit_code == 1
    assert "ca_account_unknown" in unknown.output

"""Accounts at CAs."""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime
from typing import Any

import dns.tsig
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.ca.base import CertificateAuthority
from portal.adapters.errors import AdapterError
from portal.adapters.key_vault import KeyVault, Place
from portal.domain.errors import DomainError
from portal.models.catalogue import CaAccount
from portal.models.history import AuditEntry
from portal.services import ca_accounts
from tests.dns_server import dns_server

Db = scoped_session[Session]
KEY_SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0ISE="


def add(now: datetime, name: str = "Internal", **config: Any) -> CaAccount:
    return ca_accounts.add(name, "private", config, {}, "cli", now)


def secrets_of(account: CaAccount, vault: KeyVault) -> dict[str, str]:
    assert account.secrets is not None
    opened: dict[str, str] = json.loads(
        vault.open(account.secrets, Place("", "ca_accounts", account.id, "secrets"))
    )
    return opened


def test_secrets_are_sealed_to_their_row(session: Db, vault: KeyVault, now: datetime) -> None:
    account = add(now)
    assert account.secrets is not None
    assert b"PRIVATE KEY" not in account.secrets
    assert "BEGIN PRIVATE KEY" in secrets_of(account, vault)["issuing_key"]


def test_adding_an_account_is_audited_without_its_secrets(session: Db, now: datetime) -> None:
    settings = {"directory_url": "https://ca.test/dir", "eab_kid": "kid"}
    ca_accounts.add("Public", "acme", settings, {"eab_hmac": "very-secret"}, "cli", now)
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor) == ("ca_account.add", "cli")
    assert "very-secret" not in json.dumps(entry.params)


def test_registering_is_done_once_and_remembered(session: Db, now: datetime) -> None:
    account = add(now)
    for _ in range(2):
        ca_accounts.ensure_registered(account)
    session.expire_all()
    assert ca_accounts.get("Internal").account_url == account.account_url
    assert account.account_url


def test_a_registration_that_the_ca_forgot_is_made_anew_with_the_same_key(
    session: Db, vault: KeyVault, now: datetime
) -> None:
    account = add(now)
    ca_accounts.ensure_registered(account)
    before = secrets_of(account, vault)
    ca_accounts.forget_registration(account)
    session.expire_all()
    assert account.account_url is None
    ca_accounts.ensure_registered(account)
    assert account.account_url
    assert secrets_of(account, vault) == before


def test_an_account_that_is_not_registered_yet_takes_new_settings_and_keeps_its_keys(
    session: Db, vault: KeyVault, now: datetime
) -> None:
    first = secrets_of(add(now), vault)
    account = add(now, validity_days="90")
    assert account.config["validity_days"] == "90"
    assert secrets_of(account, vault) == first
    assert len(ca_accounts.list_all()) == 1


def test_the_name_of_a_registered_account_is_taken(session: Db, now: datetime) -> None:
    ca_accounts.ensure_registered(add(now))
    with pytest.raises(DomainError, match="ca_name_taken"):
        add(now)


@pytest.mark.parametrize(
    ("kind", "config", "code"),
    [
        ("unheard-of", {}, "ca_kind_unknown"),
        ("acme", {}, "field_missing"),
        ("private", {"validity_dyas": "90"}, "unknown_field"),
        ("acme", {"directory_url": "https://ca.test/dir", "challenge": "tls-alpn-01"}, "field_wrong"),
        ("private", {"policy": "xv"}, "field_wrong"),
        ("private", {"dns": {"kind": "unheard-of", "config": {}}}, "field_wrong"),
        ("private", {"dns": {"kind": "rfc2136", "config": {"zone": "example.com"}}}, "field_missing"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(
    session: Db, now: datetime, kind: str, config: dict[str, Any], code: str
) -> None:
    with pytest.raises(DomainError) as caught:
        ca_accounts.add("Wrong", kind, config, {}, "cli", now)
    assert caught.value.code == code
    assert ca_accounts.list_all() == []


def test_a_secret_that_nothing_asks_for_is_refused(session: Db, now: datetime) -> None:
    with pytest.raises(DomainError) as caught:
        ca_accounts.add("Wrong", "private", {}, {"dns.key_secret": "x"}, "cli", now)
    assert caught.value.code == "unknown_field"
    assert "x" not in caught.value.params.values()


def test_an_unknown_account_is_named(session: Db) -> None:
    with pytest.raises(DomainError, match="ca_account_unknown"):
        ca_accounts.get("Nobody")


def test_a_thread_keeps_one_client_an_account(session: Db, now: datetime) -> None:
    one, other = add(now), add(now, "Other")
    assert ca_accounts.connect(one) is ca_accounts.connect(one)
    assert ca_accounts.connect(one) is not ca_accounts.connect(other)


def test_threads_do_not_share_clients(session: Db, now: datetime) -> None:
    account = add(now)
    found: list[CertificateAuthority] = []
    app = ca_accounts.current_app._get_current_object()

    def connect() -> None:
        with app.app_context():
            found.append(ca_accounts.connect(account))

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join(10)
    assert found[0] is not ca_accounts.connect(account)


def test_an_account_that_changed_gets_a_new_client(session: Db, now: datetime) -> None:
    account = add(now)
    before = ca_accounts.connect(account)
    ca_accounts.ensure_registered(account)
    assert ca_accounts.connect(account) is not before


def test_an_account_without_a_dns_provider_says_so(session: Db, now: datetime) -> None:
    account = add(now)
    with pytest.raises(AdapterError) as caught:
        ca_accounts.dns_provider(account)
    assert (caught.value.code, caught.value.permanent) == ("dns_not_configured", True)


def test_the_dns_provider_of_an_account_has_its_secrets(session: Db, now: datetime) -> None:
    with dns_server("example.com", dns.tsig.Key("k.", KEY_SECRET, "hmac-sha256")) as server:
        config = {"server": server.address, "zone": "example.com", "key_name": "k."}
        dns_settings = {"kind": "rfc2136", "config": config}
        secrets = {"dns.key_secret": KEY_SECRET}
        account = ca_accounts.add("With DNS", "private", {"dns": dns_settings}, secrets, "cli", now)
        assert KEY_SECRET not in json.dumps(account.config)
        ca_accounts.dns_provider(account).add_txt("_acme-challenge.example.com", "value")
        assert server.txt("_acme-challenge.example.com") == ["value"]


def test_a_forked_child_makes_clients_of_its_own(session: Db, now: datetime) -> None:
    account = add(now)
    before = ca_accounts.connect(account)
    child = os.fork()
    if child == 0:
        os._exit(0 if ca_accounts.connect(account) is not before else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert ca_accounts.connect(account) is before

"""Accounts at certificate authorities: kept sealed, opened for use, one client an account, process and thread."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select, update

from portal.adapters.ca import registry as ca_registry
from portal.adapters.ca.base import CaSettings, CertificateAuthority
from portal.adapters.dns import registry as dns_registry
from portal.adapters.dns.base import DnsProvider
from portal.adapters.errors import AdapterError
from portal.adapters.fields import Field
from portal.adapters.key_vault import Place
from portal.domain.errors import DomainError
from portal.domain.rate_limits import read_limits, read_max_in_flight
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.types import new_id
from portal.services.auditing import audit
from portal.services.ca_ledger import DatabaseLedger
from portal.services.dns_access import open_provider
from portal.services.private_keys import vault

#: Settings beside the fields of a kind.
_MORE_SETTINGS = frozenset({"resolver", "dns", "limits", "max_in_flight"})
#: Secrets of an account's DNS provider stand among its own under this prefix.
_DNS_PREFIX = "dns."


class _Clients(threading.local):
    """This thread's clients, by account: each with what it was made from."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.known: dict[str, tuple[tuple[Any, ...], CertificateAuthority]] = {}

    def of_this_process(self) -> dict[str, tuple[tuple[Any, ...], CertificateAuthority]]:
        """A forked child starts with none: two processes on one connection would read each other's answers."""
        if self.process != os.getpid():
            self.process, self.known = os.getpid(), {}
        return self.known


_clients = _Clients()


def add(
    name: str, kind: str, config: Mapping[str, Any], secrets: Mapping[str, str], actor: str, now: datetime
) -> CaAccount:
    """Store an account; `register` makes it known to the CA afterwards.

    `config` may have, besides the kind's fields, resolver, dns ({"kind", "config"}), limits (a preset's name or a list,
    see portal.domain.rate_limits) and max_in_flight; the DNS provider's secrets stand in `secrets` as "dns.NAME".
    Adding one again that is not registered yet gives it the new settings and keeps its keys.
    Raises DomainError: ca_kind_unknown, unknown_field, field_missing, field_wrong, ca_name_taken.
    """
    _check_settings(kind, config, secrets)
    account = find(name)
    if account is not None and (account.account_url is not None or account.kind != kind):
        raise DomainError("ca_name_taken", name=name)
    if account is None:
        account = CaAccount(id=new_id(), name=name, kind=kind, created_at=now)
        own = ca_registry.make_secrets(kind, config)
        db.session.add(account)
    else:
        own = _open(account)
    account.config = dict(config)
    account.secrets = _seal(account, own | dict(secrets))
    audit(
        db.session(),
        "ca_account.add",
        ("ca_accounts", account.id),
        actor,
        now,
        params={"name": name, "kind": kind},
    )
    db.session.commit()
    return account


def find(name: str) -> CaAccount | None:
    """The account of that name."""
    return db.session.scalar(select(CaAccount).where(CaAccount.name == name))


def find_by_id(account_id: str) -> CaAccount | None:
    """The account of that id."""
    return db.session.get(CaAccount, account_id)


def get(name: str) -> CaAccount:
    """The account of that name. Raises DomainError("ca_account_unknown")."""
    account = find(name)
    if account is None:
        raise DomainError("ca_account_unknown", name=name)
    return account


def list_all() -> Sequence[CaAccount]:
    """Every account, by name."""
    return db.session.scalars(select(CaAccount).order_by(CaAccount.name)).all()


def ensure_registered(account: CaAccount) -> None:
    """Register at the CA unless that is done. Safe to repeat: a CA knows an account by its key.

    Raises AdapterError.
    """
    if account.account_url is not None:
        return
    client = connect(account)
    db.session.commit()
    account.account_url = client.register()
    db.session.commit()


def forget_registration(account: CaAccount) -> None:
    """The CA knows the account no more: the next `ensure_registered` makes it anew, with the same key."""
    gone = account.account_url
    where = (CaAccount.id == account.id, CaAccount.account_url == gone)
    db.session.execute(update(CaAccount).where(*where).values(account_url=None))
    db.session.commit()


def connect(account: CaAccount) -> CertificateAuthority:
    """This thread's client for an account; a new one where the account has changed since. Raises AdapterError."""
    clients = _clients.of_this_process()
    timeout = float(current_app.extensions["settings"].step_timeout)
    address = public_url(account)
    state = (account.kind, dict(account.config), account.secrets, account.account_url, timeout, address)
    known = clients.get(account.id)
    if known is not None and known[0] == state:
        return known[1]
    settings = CaSettings(
        account.name,
        dict(account.config),
        _open(account),
        account.account_url,
        timeout,
        DatabaseLedger(account.id),
        address,
    )
    client = ca_registry.connect(account.kind, settings)
    clients[account.id] = (state, client)
    return client


def public_url(account: CaAccount) -> str:
    """Where a CA of ours publishes its revocation list and certificates: under the portal, or what it is set to."""
    base = str(account.config.get("public_url") or current_app.extensions["settings"].base_url)
    return f"{base.rstrip('/')}/ca/{account.id}"


def dns_provider(account: CaAccount) -> DnsProvider:
    """The provider that writes an account's TXT records. Raises AdapterError("dns_not_configured", permanent)."""
    dns = account.config.get("dns")
    if not dns or dns.get("kind") not in dns_registry.KINDS:
        raise AdapterError("dns_not_configured", permanent=True, name=account.name)
    secrets = {
        name.removeprefix(_DNS_PREFIX): value
        for name, value in _open(account).items()
        if name.startswith(_DNS_PREFIX)
    }
    return open_provider(dns["kind"], dns.get("config", {}), secrets)


def _check_settings(kind: str, config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    if kind not in ca_registry.KINDS:
        raise DomainError("ca_kind_unknown", kind=kind)
    dns = config.get("dns") or {"kind": None, "config": {}}
    provider = dns["kind"]
    if provider is not None and provider not in dns_registry.KINDS:
        raise DomainError("field_wrong", field="dns", choices=", ".join(dns_registry.KINDS))
    own = {key: value for key, value in config.items() if key not in _MORE_SETTINGS}
    written = {_DNS_PREFIX + key: value for key, value in dns["config"].items()}
    fields = list(ca_registry.KINDS[kind].fields)
    if provider is not None:
        fields += [replace(one, name=_DNS_PREFIX + one.name) for one in dns_registry.KINDS[provider].fields]
    _check_fields(fields, {**own, **written, **secrets})
    read_limits(config)
    read_max_in_flight(config)


def _check_fields(fields: Sequence[Field], given: Mapping[str, Any]) -> None:
    """Required fields are there, choices are kept, and nothing is there that no field asks for."""
    known = {field.name for field in fields}
    if unknown := sorted(name for name, value in given.items() if value and name not in known):
        raise DomainError("unknown_field", field=unknown[0], choices=", ".join(sorted(known)))
    for field in fields:
        value = given.get(field.name)
        if not value and field.is_required and not field.default:
            raise DomainError("field_missing", field=field.name)
        if value and field.choices and value not in field.choices:
            raise DomainError("field_wrong", field=field.name, choices=", ".join(field.choices))


def _place(account: CaAccount) -> Place:
    return Place("", "ca_accounts", account.id, "secrets")


def _seal(account: CaAccount, secrets: Mapping[str, str]) -> bytes:
    return vault().seal(json.dumps(dict(secrets)).encode(), _place(account))


def _open(account: CaAccount) -> dict[str, str]:
    if account.secrets is None:
        return {}
    opened: dict[str, str] = json.loads(vault().open(account.secrets, _place(account)))
    return opened

"""DNS credentials as customers keep them: tried out before they are stored, listed with the names that need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.adapters.dns.registry import KINDS, Kind
from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.validation import DnsCredential, DomainValidation
from portal.services import dns_credentials, validation_pages
from portal.services.acting import Actor, audit
from portal.services.dns_access import open_customers_provider
from portal.services.given_fields import split
from portal.services.operations import leave_transaction
from portal.services.validation_pages import Scope


@dataclass(frozen=True)
class CredentialView:
    """Credentials, what their provider is called, and the names that are proved by them."""

    row: DnsCredential
    kind: Kind
    names: tuple[str, ...]


def list_for(organisation_id: str) -> list[CredentialView]:
    """The organisation's credentials by name: two queries."""
    users: dict[str, list[str]] = {}
    query = select(DomainValidation.dns_credential_id, DomainValidation.name).where(
        DomainValidation.organisation_id == organisation_id, DomainValidation.dns_credential_id.is_not(None)
    )
    for credential_id, name in db.session.execute(query.order_by(DomainValidation.name)):
        users.setdefault(str(credential_id), []).append(name)
    rows = dns_credentials.list_for(organisation_id)
    return [CredentialView(row, KINDS[row.kind], tuple(users.get(row.id, ()))) for row in rows]


def add(
    name: str, kind: str, given: Mapping[str, str], scope: Scope | None, actor: Actor, now: datetime
) -> DnsCredential:
    """Try credentials out, store them, and prove the names of a scope by them.

    Nothing is stored where their provider refuses them. Raises DomainError and AdapterError: those of
    `dns_credentials.add`, of the provider's `check`, and of `validation_pages.read` for the scope.
    """
    if scope is not None:
        validation_pages.read(scope, now)
    if kind not in dns_credentials.kinds():
        raise DomainError("unknown_dns_provider", provider=kind, choices=", ".join(dns_credentials.kinds()))
    filled = split(KINDS[kind].fields, given)
    provider = open_customers_provider(kind, filled.config, filled.secrets)
    leave_transaction()
    provider.check()
    row = dns_credentials.add(name, kind, given, actor, now)
    row.checked_at = now
    db.session.commit()
    if scope is not None:
        validation_pages.choose(scope, ValidationMethod.CREDENTIALS, actor, now, row.id)
    return row


def check(credential_id: str, actor: Actor, now: datetime) -> AdapterError | None:
    """Ask the provider whether it still knows them; why not, if not. Raises DomainError("dns_credential_not_found")."""
    row = dns_credentials.get(actor.organisation_id, credential_id)
    audit(actor, "dns_credential_checked", "dns_credentials", row.id, now, name=row.name)
    db.session.commit()
    try:
        dns_credentials.check(row, now)
    except AdapterError as error:
        return error
    return None

"""Customers' credentials at their DNS providers: added with their secrets sealed, tried out, used, taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.adapters.dns.base import DnsProvider
from portal.adapters.dns.registry import KINDS, Kind
from portal.adapters.errors import AdapterError
from portal.adapters.key_vault import Place
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.types import new_id
from portal.models.validation import DnsCredential, DomainValidation, ValidationRecord
from portal.services.acting import Actor, audit
from portal.services.dns_access import open_customers_provider
from portal.services.given_fields import split
from portal.services.operations import leave_transaction
from portal.services.private_keys import vault


def kinds() -> Mapping[str, Kind]:
    """The providers that customers can give credentials for."""
    return {name: kind for name, kind in KINDS.items() if kind.is_for_customers}


def add(name: str, kind: str, given: Mapping[str, str], actor: Actor, now: datetime) -> DnsCredential:
    """Store credentials of the actor's organisation; `given` holds the kind's fields, secret ones among them.

    Raises DomainError: unknown_dns_provider, unknown_field, field_missing, field_wrong, dns_credential_name_taken;
    AdapterError: dns_settings, dns_address_forbidden.
    """
    if kind not in kinds():
        raise DomainError("unknown_dns_provider", provider=kind, choices=", ".join(kinds()))
    if not name.strip():
        raise DomainError("field_missing", field="name")
    filled = split(KINDS[kind].fields, given)
    open_customers_provider(kind, filled.config, filled.secrets)
    row = DnsCredential(
        id=new_id(),
        organisation_id=actor.organisation_id,
        name=name.strip(),
        kind=kind,
        config=dict(filled.config),
        created_at=now,
    )
    row.secrets = vault().seal(json.dumps(dict(filled.secrets)).encode(), _place(row))
    db.session.add(row)
    audit(actor, "dns_credential_added", "dns_credentials", row.id, now, name=row.name, kind=kind)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise DomainError("dns_credential_name_taken", name=name) from None
    return row


def list_for(organisation_id: str) -> Sequence[DnsCredential]:
    """The organisation's credentials by name."""
    query = select(DnsCredential).where(DnsCredential.organisation_id == organisation_id)
    return db.session.scalars(query.order_by(DnsCredential.name)).all()


def get(organisation_id: str, name_or_id: str) -> DnsCredential:
    """One of the organisation's credentials. Raises DomainError("dns_credential_not_found")."""
    either = (DnsCredential.id == name_or_id) | (DnsCredential.name == name_or_id)
    query = select(DnsCredential).where(DnsCredential.organisation_id == organisation_id, either)
    row = db.session.scalars(query.order_by(DnsCredential.id != name_or_id).limit(1)).first()
    if row is None:
        raise DomainError("dns_credential_not_found", name=name_or_id)
    return row


def remove(name_or_id: str, actor: Actor, now: datetime) -> None:
    """Forget credentials of the actor's organisation that nothing needs any more.

    Raises DomainError: dns_credential_not_found, dns_credential_in_use (a name is proved by them, or a record that they
    placed is still to be taken away).
    """
    row = get(actor.organisation_id, name_or_id)
    if (used_by := _user_of(row)) is not None:
        raise DomainError("dns_credential_in_use", name=row.name, used_by=used_by)
    audit(actor, "dns_credential_removed", "dns_credentials", row.id, now, name=row.name)
    db.session.delete(row)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise DomainError("dns_credential_in_use", name=row.name, used_by="-") from None


def check(row: DnsCredential, now: datetime) -> None:
    """Ask the provider whether it knows these credentials, and record the answer. Raises AdapterError."""
    failure: AdapterError | None = None
    try:
        asked = provider(row)
        leave_transaction()
        asked.check()
    except AdapterError as error:
        failure = error
    row.checked_at = now
    row.error_code = failure.code if failure else None
    db.session.commit()
    if failure is not None:
        raise failure


def provider(row: DnsCredential) -> DnsProvider:
    """Who writes with these credentials. Talks to nobody yet. Raises AdapterError: dns_settings,
    dns_address_forbidden, dns_not_configured (its kind is no longer offered); all permanent.
    """
    if row.kind not in kinds():
        raise AdapterError("dns_not_configured", permanent=True, name=row.name)
    secrets = json.loads(vault().open(row.secrets, _place(row))) if row.secrets else {}
    return open_customers_provider(row.kind, row.config, secrets)


def _user_of(row: DnsCredential) -> str | None:
    """A name that needs the credentials."""
    wanted = select(DomainValidation.name).where(DomainValidation.dns_credential_id == row.id)
    placed = select(ValidationRecord.fqdn).where(ValidationRecord.dns_credential_id == row.id)
    return db.session.scalar(wanted.limit(1)) or db.session.scalar(placed.limit(1))


def _place(row: DnsCredential) -> Place:
    return Place(row.organisation_id, "dns_credentials", row.id, "secrets")

"""How each of an organisation's names is proved: what was chosen, and where its delegation has to lead."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.domain.errors import DomainError
from portal.domain.validation import ValidationMethod, base_name
from portal.extensions import db
from portal.models.types import new_id
from portal.models.validation import DomainValidation
from portal.services import delegation, dns_credentials
from portal.services.acting import Actor, audit


def ensure(organisation_id: str, names: Sequence[str], now: datetime) -> list[DomainValidation]:
    """The rows of these names, in their order and each once; those that were missing are made, and committed.

    A new name is proved by delegation where this service has a zone for it, else as the operator set the CA up.
    """
    wanted = _bases(names)
    if _add_missing(organisation_id, wanted, now):
        db.session.commit()
    return list_for(organisation_id, wanted)


def list_for(organisation_id: str, names: Sequence[str]) -> list[DomainValidation]:
    """The rows that there are of these names, in their order."""
    wanted = _bases(names)
    query = select(DomainValidation).where(
        DomainValidation.organisation_id == organisation_id, DomainValidation.name.in_(wanted)
    )
    rows = {row.name: row for row in db.session.scalars(query)}
    return [rows[name] for name in wanted if name in rows]


def find(organisation_id: str, name: str) -> DomainValidation | None:
    """The row of a name."""
    return next(iter(list_for(organisation_id, [name])), None)


def set_method(
    organisation_id: str,
    name: str,
    method: ValidationMethod,
    actor: Actor,
    now: datetime,
    dns_credential_id: str | None = None,
) -> DomainValidation:
    """Choose how a name is proved from now on. What was found out by the way before no longer counts.

    Raises DomainError: forbidden (another organisation's name), dns_credential_not_found, delegation_zone_unready,
    wildcard_needs_dns.
    """
    if actor.organisation_id != organisation_id:
        raise DomainError("forbidden")
    if method is ValidationMethod.HTTP and name.startswith("*."):
        raise DomainError("wildcard_needs_dns", name=name)
    if method is ValidationMethod.DELEGATION and delegation.find_verified() is None:
        raise DomainError("delegation_zone_unready", name=name)
    credential = None
    if method is ValidationMethod.CREDENTIALS:
        credential = dns_credentials.get(organisation_id, dns_credential_id or "").id
    (row,) = ensure(organisation_id, [name], now)
    row.method, row.dns_credential_id = method, credential
    row.checked_at = row.result_code = row.result_severity = row.result_params = None
    audit(
        actor, "validation_method_set", "domain_validations", row.id, now, name=row.name, method=method.value
    )
    db.session.commit()
    return row


def note_proved(organisation_id: str, names: Sequence[str], now: datetime) -> None:
    """A CA accepted this organisation's proof of the names, within the caller's transaction."""
    if not (wanted := _bases(names)):
        return
    rows = (DomainValidation.organisation_id == organisation_id, DomainValidation.name.in_(wanted))
    proved = update(DomainValidation).where(*rows).values(proved_at=now)
    proved = proved.execution_options(synchronize_session=False)
    if db.session.execute(proved).rowcount < len(wanted):  # type: ignore[attr-defined]
        _add_missing(organisation_id, wanted, now)
        db.session.execute(proved)


def is_held_by_another(organisation_id: str, name: str) -> bool:
    """Whether another organisation has proved this name to a CA through us, and this one never has."""
    query = select(DomainValidation.organisation_id).where(
        DomainValidation.name == base_name(name.lower()), DomainValidation.proved_at.is_not(None)
    )
    holders = set(db.session.scalars(query))
    return bool(holders) and organisation_id not in holders


def delegation_target(row: DomainValidation) -> str | None:
    """The name that _acme-challenge.<name> has to be a CNAME of; None while this service has no verified zone."""
    zone = delegation.find_verified()
    return f"{row.delegation_label}.{zone.zone}" if zone is not None else None


def first_method() -> ValidationMethod:
    """How a name is proved for which nobody has chosen a way."""
    is_ready = delegation.find_verified() is not None
    return ValidationMethod.DELEGATION if is_ready else ValidationMethod.OPERATOR


def _add_missing(organisation_id: str, wanted: Sequence[str], now: datetime) -> bool:
    """Make the rows that are missing, within the caller's transaction; whether there were any."""
    known = {row.name for row in list_for(organisation_id, wanted)}
    missing = [name for name in wanted if name not in known]
    method = first_method() if missing else ValidationMethod.OPERATOR
    for name in missing:
        _insert_if_absent(_values(organisation_id, name, method, now))
    return bool(missing)


def _bases(names: Iterable[str]) -> list[str]:
    """The names that are proved, each once."""
    return list(dict.fromkeys(base_name(name.lower()) for name in names))


def _values(organisation_id: str, name: str, method: ValidationMethod, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "organisation_id": organisation_id,
        "name": name,
        "method": method,
        "delegation_label": secrets.token_hex(16),
        "created_at": now,
    }


def _insert_if_absent(values: dict[str, Any]) -> None:
    """Of two that make the same row at once, one makes it and both find it."""
    dialect = postgresql if db.session.connection().dialect.name == "postgresql" else sqlite
    db.session.execute(dialect.insert(DomainValidation).values(**values).on_conflict_do_nothing())

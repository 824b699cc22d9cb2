"""The service's own zone, which customers' _acme-challenge names point into: set up, tried out, written to.

Nobody is offered it before a probe record, written through its provider, has been read back at its name servers.
"""

from __future__ import annotations

import json
import secrets as randomness
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from sqlalchemy import select

from portal.adapters.dns.authority import Vantage, is_published
from portal.adapters.dns.base import DnsProvider
from portal.adapters.dns.lookup import parse_name
from portal.adapters.dns.registry import KINDS
from portal.adapters.errors import AdapterError
from portal.adapters.key_vault import Place
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.types import new_id
from portal.models.validation import DelegationZone
from portal.services import dns_access
from portal.services.auditing import audit
from portal.services.given_fields import split
from portal.services.operations import leave_transaction
from portal.services.private_keys import vault

#: How long a probe is looked for (seconds), and how long between two looks.
PROBE_PATIENCE = 30.0
PROBE_PAUSE = 0.5
#: A domain below a top-level one, and the root: nobody has less.
_LEAST_LABELS = 3
#: The longest zone that leaves room for a label of 32 digits.
_LONGEST_ZONE = 200


def find() -> DelegationZone | None:
    """The zone, tried out or not."""
    return db.session.scalar(select(DelegationZone).limit(1))


def find_verified() -> DelegationZone | None:
    """The zone, once a probe has been read back from it."""
    row = find()
    return row if row is not None and row.verified_at is not None else None


def set_up(
    zone: str, kind: str, given: Mapping[str, str], resolver: str | None, actor: str, now: datetime
) -> DelegationZone:
    """Have this zone, in the place of any other; it is to be tried out (again) before it is used.

    `given` holds the fields of the DNS provider that writes to it, secret ones among them. Raises DomainError:
    unknown_dns_provider, domain_invalid, unknown_field, field_missing, field_wrong; AdapterError("dns_settings").
    """
    if kind not in KINDS:
        raise DomainError("unknown_dns_provider", provider=kind, choices=", ".join(KINDS))
    name = _zone_name(zone)
    filled = split(KINDS[kind].fields, given)
    dns_access.open_provider(kind, filled.config, filled.secrets)
    row = find() or DelegationZone(id=new_id(), created_at=now)
    row.zone, row.kind, row.config, row.resolver = name, kind, dict(filled.config), resolver or None
    row.secrets = vault().seal(json.dumps(dict(filled.secrets)).encode(), _place(row))
    row.verified_at = None
    db.session.add(row)
    subject = ("delegation_zones", row.id)
    audit(db.session, "delegation_zone.set", subject, actor, now, params={"zone": name, "kind": kind})
    db.session.commit()
    return row


def provider(row: DelegationZone) -> DnsProvider:
    """Who writes to the zone. Talks to nobody yet."""
    opened = json.loads(vault().open(row.secrets, _place(row))) if row.secrets else {}
    return dns_access.open_provider(row.kind, row.config, opened)


def vantage(row: DelegationZone) -> Vantage:
    """From where the zone is looked at."""
    return dns_access.vantage(row.resolver)


def probe(now: datetime, patience: float = PROBE_PATIENCE) -> DelegationZone:
    """Write a record of random name and value, read it back where a CA would, take it away; then the zone is verified.

    It waits, up to `patience` seconds: for the command line, never for a worker. Raises AdapterError: whatever the
    provider raises, dns_unavailable, delegation_probe_unseen (temporary), delegation_zone_missing.
    What was verified before stays so.
    """
    row = find()
    if row is None:
        raise AdapterError("delegation_zone_missing", permanent=True)
    writer, seen_from = provider(row), vantage(row)
    leave_transaction()
    name, value = f"probe-{randomness.token_hex(8)}.{row.zone}", randomness.token_urlsafe(32)
    try:
        writer.add_txt(name, value)
        _see(name, value, seen_from, patience)
    except AdapterError:
        with suppress(AdapterError):
            writer.remove_txt(name, value)
        raise
    writer.remove_txt(name, value)
    row.verified_at = now
    db.session.commit()
    return row


def _see(name: str, value: str, seen_from: Vantage, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not is_published(name, value, seen_from):
        if time.monotonic() + PROBE_PAUSE > deadline:
            raise AdapterError("delegation_probe_unseen", permanent=False, name=name)
        time.sleep(PROBE_PAUSE)


def _zone_name(zone: str) -> str:
    try:
        name = parse_name(zone).canonicalize()
    except AdapterError:
        raise DomainError("domain_invalid", domain=zone) from None
    text = name.to_text(omit_final_dot=True)
    if len(name) < _LEAST_LABELS or len(text) > _LONGEST_ZONE:
        raise DomainError("domain_invalid", domain=zone)
    return text


def _place(row: DelegationZone) -> Place:
    return Place("", "delegation_zones", row.id, "secrets")

"""What operators see of the zone for delegations: whether it was tried out, and who relies on it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from portal.adapters.dns.registry import KINDS
from portal.domain.validation import Severity, ValidationMethod
from portal.extensions import db
from portal.models.validation import DelegationZone, DomainValidation
from portal.services import delegation


@dataclass(frozen=True)
class ZoneView:
    """`settings` are those of its provider without the secret ones; `broken` of the `names` would be refused today."""

    row: DelegationZone
    provider: str
    settings: dict[str, str]
    names: int
    broken: int


def read() -> ZoneView | None:
    """The zone; None where there is none yet."""
    row = delegation.find()
    if row is None:
        return None
    relying = DomainValidation.method == ValidationMethod.DELEGATION
    is_broken = DomainValidation.result_severity == Severity.BLOCKING.value
    counted = select(func.count(), func.count().filter(is_broken)).where(relying)
    names, broken = db.session.execute(counted).one()
    shown = {name: str(value) for name, value in sorted(row.config.items()) if value}
    return ZoneView(row, KINDS[row.kind].label, shown, names, broken)

"""What people did, written within the transaction in which they did it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from portal.extensions import db
from portal.models.history import AuditEntry, HistoryEntry


@dataclass(frozen=True)
class Actor:
    """Who acts: a user (or the name of a process), for which organisation, from where."""

    id: str
    organisation_id: str
    ip_address: str | None = None


def audit(
    actor: Actor, action: str, subject_type: str, subject_id: str, now: datetime, **params: Any
) -> None:
    """Add an audit row, within the caller's transaction. `params` hold nothing secret."""
    entry = AuditEntry(
        organisation_id=actor.organisation_id,
        actor=actor.id,
        action=action,
        subject_type=subject_type,
        subject_id=subject_id,
        params=params or None,
        ip_address=actor.ip_address,
        at=now,
    )
    db.session.add(entry)


def note_change(
    subject_type: str,
    subject_id: str,
    change: tuple[str, StrEnum, StrEnum],
    actor: str,
    now: datetime,
    **params: Any,
) -> None:
    """Add a history row for a change (from state, event, to state), within the caller's transaction."""
    from_state, event, to_state = change
    entry = HistoryEntry(
        subject_type=subject_type,
        subject_id=subject_id,
        from_state=str(from_state),
        event=event.value,
        to_state=to_state.value,
        actor=actor,
        params=params or None,
        at=now,
    )
    db.session.add(entry)

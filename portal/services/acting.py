"""Who acts, and the rows that an act leaves behind in its own transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, event, insert
from sqlalchemy.orm import Session

from portal.extensions import db
from portal.models.history import HistoryEntry
from portal.models.types import new_id
from portal.services import auditing

_ENTRIES = "history"
_ADD_ENTRY = insert(cast("Table", HistoryEntry.__table__))


@dataclass(frozen=True)
class Actor:
    """Who acts: a user (or the name of a process), for which organisation, from where."""

    id: str
    organisation_id: str
    ip_address: str | None = None


def audit(
    actor: Actor, action: str, subject_type: str, subject_id: str, now: datetime, **params: Any
) -> None:
    """Note an act of this actor, within the caller's transaction. `params` hold nothing secret."""
    auditing.audit(
        db.session(),
        action,
        (subject_type, subject_id),
        actor.id,
        now,
        organisation_id=actor.organisation_id,
        params=params,
        ip=actor.ip_address,
    )


def note_change(
    subject_type: str,
    subject_id: str,
    change: tuple[str, str, str],
    actor: str,
    now: datetime,
    reason: str | None = None,
    params: dict[str, Any] | None = None,
) -> None:
    """Add a history row for a change (from state, event, to state), within the caller's transaction."""
    from_state, event, to_state = (str(part) for part in change)
    entry = {
        "id": new_id(),
        "subject_type": subject_type,
        "subject_id": subject_id,
        "from_state": from_state,
        "event": event,
        "to_state": to_state,
        "actor": actor,
        "reason": reason,
        "params": params,
        "at": now,
    }
    # Written past the unit of work, all of a transaction at once: a renewal leaves a dozen of these.
    db.session().info.setdefault(_ENTRIES, []).append(entry)


@event.listens_for(Session, "before_commit")
def _write_entries(session: Session) -> None:
    if entries := session.info.pop(_ENTRIES, None):
        session.execute(_ADD_ENTRY, entries)


@event.listens_for(Session, "after_rollback")
def _forget_entries(session: Session) -> None:
    session.info.pop(_ENTRIES, None)

"""What is due, and ringing for it: the database is the queue, jobs are only the doorbell (ADR 0003)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from portal.extensions import db
from portal.queue import ring
from portal.services.operations import Kind, settings


def due_ids(kind: Kind[Any], now: datetime, limit: int = 1000) -> list[str]:
    """Ids of rows that are due, the longest due first; an index-only look."""
    model = kind.model
    rows = (
        select(model.id)
        .where(model.next_attempt_at <= now)
        .order_by(model.next_attempt_at, model.id)
        .limit(limit)
    )
    return list(db.session.scalars(rows))


def ring_due(kind: Kind[Any], now: datetime, limit: int = 1000) -> int:
    """Ring for every due row that nobody rang for lately; returns how many. Losing the ring only costs its time."""
    model = kind.model
    unrung = or_(model.rung_until.is_(None), model.rung_until <= now)
    due = (
        select(model.id).where(model.next_attempt_at <= now, unrung).order_by(model.next_attempt_at, model.id)
    )
    until = now + timedelta(seconds=settings().ring_again_seconds)
    marked = (
        update(model)
        .where(model.id.in_(due.limit(limit)), unrung)
        .values(rung_until=until)
        .returning(model.id)
    )
    ids = list(db.session.scalars(marked.execution_options(synchronize_session=False)))
    db.session.commit()
    ring(kind.job, ids)
    return len(ids)


def wake(model: type[Any], row_id: str, now: datetime) -> None:
    """Make a row due now, within the caller's transaction. A settled one (nothing due) stays settled."""
    alive = update(model).where(model.id == row_id, model.next_attempt_at > now)
    db.session.execute(alive.values(next_attempt_at=now, rung_until=None))

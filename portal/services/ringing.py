"""What is due, and ringing for it: the database is the queue, jobs are only the doorbell (ADR 0003)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    ScalarSelect,
    Table,
    bindparam,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from portal.extensions import db
from portal.models.types import UtcDateTime
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


def kinds_due(kinds: Mapping[str, Kind[Any]], now: datetime) -> frozenset[str]:
    """The names of the kinds of which something is due that nobody rang for lately: one look for all of them."""
    looks = _looks(tuple((name, kind.model.__table__) for name, kind in kinds.items()))
    found = db.session.scalars(looks, {"now": now}).all()
    db.session.commit()
    return frozenset(found)


def ring_due(kind: Kind[Any], now: datetime, limit: int = 1000, begun_only: bool = False) -> int:
    """Ring for every due row that nobody rang for lately; returns how many. Losing the ring only costs its time.

    With `begun_only` rows in their first state are passed over: what waits to be started goes on waiting.
    """
    until = now + timedelta(seconds=settings().ring_again_seconds)
    first = next(iter(kind.steps)) if begun_only else None
    known = {"now": now, "until": until, "limit": limit, "first": first}
    ids = list(db.session.scalars(_mark(kind.model.__table__, begun_only), known))
    db.session.commit()
    ring(kind.job, ids)
    return len(ids)


@cache
def _looks(tables: tuple[tuple[str, Table], ...]) -> CompoundSelect[Any]:
    """SELECT the name of each kind WHERE something is due; made once, since it is run every two seconds.

    The longest due row is looked for, and not EXISTS, which PostgreSQL's generic plans answer by reading whole tables.
    """
    return union_all(
        *(select(literal(name)).where(_longest_due(table).is_not(None)) for name, table in tables)
    )


def _longest_due(table: Table) -> ScalarSelect[Any]:
    due = select(table.c.id).where(*_due_and_unrung(table))
    return due.order_by(table.c.next_attempt_at, table.c.id).limit(1).scalar_subquery()


@cache
def _mark(table: Table, begun_only: bool) -> ReturningUpdate[Any]:
    """UPDATE … RETURNING the ids of the longest due rows; made once.

    Rows that somebody is writing at this moment are passed over: who waits for them, with the many that are marked here
    in hand, is in a deadlock with whoever claims some of these.
    """
    due = select(table.c.id).where(*_due_and_unrung(table)).order_by(table.c.next_attempt_at, table.c.id)
    if begun_only:
        due = due.where(table.c.state != bindparam("first", type_=table.c.state.type))
    due = due.limit(bindparam("limit")).with_for_update(skip_locked=True)
    marked = update(table).where(table.c.id.in_(due), *_due_and_unrung(table)[1:])
    return marked.values(rung_until=bindparam("until", type_=UtcDateTime())).returning(table.c.id)


def _due_and_unrung(table: Table) -> tuple[ColumnElement[bool], ...]:
    now = bindparam("now", type_=UtcDateTime())
    return table.c.next_attempt_at <= now, or_(table.c.rung_until.is_(None), table.c.rung_until <= now)


def wake(model: type[Any], row_id: str, now: datetime) -> None:
    """Make a row due now, within the caller's transaction. A settled one (nothing due) stays settled."""
    alive = update(model).where(model.id == row_id, model.next_attempt_at > now)
    db.session.execute(alive.values(next_attempt_at=now, rung_until=None))

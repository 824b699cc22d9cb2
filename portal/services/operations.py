"""Driving operations: the one way in which work is claimed, done a step at a time, and recorded.

A kind of operation (renewal, deployment, order, notice) gives one step function per state. For a row, `drive` does:
 1. claim it: UPDATE … WHERE it is due AND nobody's lease holds (database clock); the fence grows; commit;
 2. run the step of its state: it may talk to the outside, with no transaction open;
 3. record the outcome: UPDATE … WHERE state AND fence are still what they were; history row; commit.
 4. go on with the next step, or leave it with `next_attempt_at`.
A writer whose claim was taken over changes nothing at 3. Dying anywhere leaves a row whose lease runs out.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

import structlog
from flask import current_app
from sqlalchemy import or_, select, update

from portal.adapters.errors import AdapterError
from portal.database import database_now
from portal.domain.errors import DomainError
from portal.domain.renewal import retry_after
from portal.domain.states import advance
from portal.extensions import db
from portal.faults import InjectedFault, faultpoint
from portal.queue import JobName, ring
from portal.services.acting import note_change
from portal.settings import Settings

log = structlog.get_logger(__name__)

Row = TypeVar("Row", bound=Any)
Clock = Callable[[], datetime]

#: A permanent refusal is tried again this often all the same: what a person mended need not be reported to us.
STOPPED_INTERVAL = timedelta(days=1)

#: A step that failed this often, though each failure looked temporary, needs a person too.
TELL_AFTER_ATTEMPTS = 6

#: All the time one drive may spend looking again at a busy CA or cloud (seconds); longer waits leave the worker.
BRIEF_WAIT = 0.15
BRIEF_PAUSE = 0.05

#: What history calls work that nobody asked for by hand.
WORKER_ACTOR = "worker"

#: Who holds a lease.
LEASE_OWNER = f"{socket.gethostname()}:{os.getpid()}"[:64]


@dataclass(frozen=True)
class Advance:
    """The step is done: take `event`, set `values`, run `then` in the same transaction (it must not commit).

    `due_at` is when the next step may run; None where nothing is due any more. With `failure` the move counts as
    a failed try: it is shown, and the next try waits as the table of intervals says.
    """

    event: StrEnum
    due_at: datetime | None
    values: Mapping[str, Any] = field(default_factory=dict)
    then: Callable[[], None] | None = None
    failure: AdapterError | DomainError | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Wait:
    """Not yet: look again at `until`. Not a failure."""

    until: datetime
    values: Mapping[str, Any] = field(default_factory=dict)


Step = Callable[[Row, datetime], Advance | Wait]


@dataclass(frozen=True)
class Kind(Generic[Row]):
    """One kind of operation. `on_stop` runs in the transaction that stops a row for a person: it posts the notices."""

    name: str
    model: type[Row]
    transitions: Mapping[Any, Any]
    steps: Mapping[Any, Step[Row]]
    job: JobName
    on_stop: Callable[[Row, datetime], None]


class LostClaim(Exception):
    """Somebody else holds the row by now; nothing was written."""


def settings() -> Settings:
    """The settings of the running app."""
    current: Settings = current_app.extensions["settings"]
    return current


def leave_transaction() -> None:
    """End the read transaction before talking to the outside; loaded rows stay readable."""
    db.session.commit()


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


def drive_all(kind: Kind[Any], ids: Sequence[str], clock: Clock) -> None:
    """Drive each row; one that breaks does not hold the others up. The first unexpected error is raised at the end."""
    first: Exception | None = None
    for row_id in ids:
        try:
            drive(kind, row_id, clock)
        except Exception as error:
            db.session.rollback()
            log.exception("operation_broke", kind=kind.name, id=row_id)
            first = first or error
    if first is not None:
        raise first


def drive(kind: Kind[Any], row_id: str, clock: Clock) -> None:
    """Run every step of one row that need not wait (numbered steps in the module's docstring)."""
    patience = BRIEF_WAIT
    while (fence := _claim(kind, row_id, clock())) is not None:
        try:
            outcome = _run_step(kind, row_id, fence, clock)
        except LostClaim:
            log.info("claim_lost", kind=kind.name, id=row_id)
            return
        if isinstance(outcome, Advance) and outcome.due_at is None:
            return
        if not isinstance(outcome, Wait):
            continue
        pause = max((outcome.until - clock()).total_seconds(), 0)
        if patience <= 0 or pause > timedelta(seconds=5).total_seconds():
            return
        time.sleep(BRIEF_PAUSE)
        patience -= BRIEF_PAUSE
        wake(kind.model, row_id, clock())
        db.session.commit()


def _claim(kind: Kind[Any], row_id: str, now: datetime) -> int | None:
    model = kind.model
    free = or_(model.lease_until.is_(None), model.lease_until < database_now())
    statement = (
        update(model)
        .where(model.id == row_id, model.next_attempt_at <= now, free)
        .values(
            lease_owner=LEASE_OWNER, lease_until=database_now(settings().lease_seconds), fence=model.fence + 1
        )
        .returning(model.fence)
        .execution_options(synchronize_session=False)
    )
    fence = db.session.execute(statement).scalar_one_or_none()
    db.session.commit()
    return fence


def _run_step(kind: Kind[Any], row_id: str, fence: int, clock: Clock) -> Advance | Wait | None:
    """Run one step and record what came of it. Returns None after a failure, which always leaves the row."""
    db.session.expire_all()
    row = db.session.get_one(kind.model, row_id)
    state = row.state
    point = f"{kind.name}.{state.value}"
    try:
        faultpoint(f"{point}.before")
        outcome = kind.steps[state](row, clock())
        faultpoint(f"{point}.after")
    except (AdapterError, DomainError) as error:
        db.session.rollback()
        _record_failure(kind, row_id, fence, state, error, clock())
        return None
    except Exception as error:
        db.session.rollback()
        code = "injected_fault" if isinstance(error, InjectedFault) else "unexpected"
        _record_failure(kind, row_id, fence, state, AdapterError(code, permanent=False), clock())
        raise
    _record(kind, row_id, fence, state, outcome, clock())
    faultpoint(f"{point}.recorded")
    return outcome


def _record(
    kind: Kind[Any], row_id: str, fence: int, state: StrEnum, outcome: Advance | Wait, now: datetime
) -> None:
    if isinstance(outcome, Wait):
        values = {"next_attempt_at": outcome.until, "polls": kind.model.polls + 1, **outcome.values}
        _write(kind, row_id, fence, state, values)
        db.session.commit()
        return
    to_state = advance(kind.transitions, state, outcome.event)
    values = {"state": to_state, "polls": 0, "next_attempt_at": outcome.due_at, **outcome.values}
    if outcome.failure is None:
        values |= {"attempts": 0, "error_code": None, "error_params": None, "stopped_at": None}
        _write(kind, row_id, fence, state, values)
    else:
        _write_failure(kind, row_id, fence, state, outcome.failure, now, values)
    change = (state, outcome.event, to_state)
    note_change(kind.model.__tablename__, row_id, change, WORKER_ACTOR, now, outcome.reason)
    if outcome.then is not None:
        outcome.then()
    db.session.commit()


def _record_failure(
    kind: Kind[Any], row_id: str, fence: int, state: StrEnum, error: AdapterError | DomainError, now: datetime
) -> None:
    log.warning("step_failed", kind=kind.name, id=row_id, state=state.value, code=error.code)
    _write_failure(kind, row_id, fence, state, error, now, {})
    db.session.commit()


def _write_failure(
    kind: Kind[Any],
    row_id: str,
    fence: int,
    state: StrEnum,
    error: AdapterError | DomainError,
    now: datetime,
    values: dict[str, Any],
) -> None:
    row = db.session.get_one(kind.model, row_id)
    attempts = row.attempts + 1
    is_permanent = error.permanent if isinstance(error, AdapterError) else True
    not_before = error.not_before if isinstance(error, AdapterError) else None
    pause = STOPPED_INTERVAL if is_permanent else retry_after(attempts)
    needs_person = is_permanent or attempts >= TELL_AFTER_ATTEMPTS
    has_step = values.get("state", state) in kind.steps
    values = values | {
        "attempts": attempts,
        "error_code": error.code,
        "error_params": dict(error.params),
        "next_attempt_at": max(now + pause, not_before or now) if has_step else None,
        "stopped_at": (row.stopped_at or now) if needs_person else None,
    }
    was_stopped = row.stopped_at is not None
    _write(kind, row_id, fence, state, values)
    if needs_person and not was_stopped:
        change = (state, "stop", values.get("state", state))
        note_change(
            kind.model.__tablename__, row_id, change, WORKER_ACTOR, now, error.code, dict(error.params)
        )
        db.session.expire(row)
        kind.on_stop(db.session.get_one(kind.model, row_id), now)


def _write(kind: Kind[Any], row_id: str, fence: int, state: StrEnum, values: Mapping[str, Any]) -> None:
    model = kind.model
    held = update(model).where(model.id == row_id, model.state == state, model.fence == fence)
    freed = {"lease_owner": None, "lease_until": None, "rung_until": None}
    result = db.session.execute(held.values(**freed, **values).execution_options(synchronize_session=False))
    if result.rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        raise LostClaim(f"{kind.name} {row_id}")

"""Driving operations: the one way in which work is claimed, done a step at a time, and recorded.

A kind of operation (renewal, deployment, order …) gives one step function per state. For some rows, `drive_all`:
 1. claims them: UPDATE … WHERE it is due AND nobody's lease holds (database clock); the fence grows; commit;
 2. runs the step of a row's state: it may talk to the outside, with no transaction open;
 3. records the outcome: UPDATE … WHERE state AND fence are still what they were; history row; commit;
 4. goes on with the row's next step under the same claim, whose lease begins anew with every record, or gives the claim
    back and leaves the row with its `next_attempt_at`.
A writer whose claim was taken over changes nothing at 3. Dying anywhere leaves rows whose leases run out.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

import structlog
from sqlalchemy import Float, Table, bindparam, or_, select, update
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.dml import ReturningUpdate

from portal.adapters.errors import AdapterError
from portal.database import database_now
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.faults import InjectedFault, faultpoint
from portal.models.types import UtcDateTime
from portal.queue import JobName, ring
from portal.services.operations import Advance, Clock, Kind, Wait, settings
from portal.services.recording import Held, LostClaim, give_back, record, record_failure

log = structlog.get_logger(__name__)

#: Rows claimed and loaded at once. Few: the last of them waits for the steps of all before it.
CLAIMED_AT_ONCE = 10

#: A claim that has waited this long for its first step is made anew before it is used (seconds; under the lease).
STALE_CLAIM = 10.0

#: All the time one drive may spend looking again at a busy CA or cloud, and its pauses (seconds).
BRIEF_WAIT = 0.15
BRIEF_PAUSES = (0.01, 0.02, 0.04, 0.08)

#: A wait up to this is worth a brief look again, since busy servers name whole seconds.
WORTH_A_LOOK = timedelta(seconds=5)

#: How long a ring in another queue counts: work that keeps a processor busy waits there for its turn. Under the two
#: minutes within which everything is under way again after Redis was emptied.
RUNG_ELSEWHERE = timedelta(seconds=90)

#: Who holds a lease.
LEASE_OWNER = f"{socket.gethostname()}:{os.getpid()}"[:64]


def drive(kind: Kind[Any], row_id: str, clock: Clock, job: JobName | None = None) -> None:
    """Run every step of one row that need not wait. An unexpected error is raised once it is recorded."""
    drive_all(kind, [row_id], clock, job)


def drive_all(kind: Kind[Any], ids: Sequence[str], clock: Clock, job: JobName | None = None) -> None:
    """Drive each row; one that breaks does not hold the others up. The first unexpected error is raised at the end.

    `job` is the one at hand: a step that belongs in another is rung for there. Without it every step is done here.
    """
    first: Exception | None = None
    queue = iter(ids)
    while chunk := list(islice(queue, CLAIMED_AT_ONCE)):
        claimed_at = time.monotonic()
        for held in _claim(kind, chunk, clock()):
            try:
                if time.monotonic() - claimed_at < STALE_CLAIM or _claim_again(held):
                    _drive_held(held, clock, job)
            except LostClaim:
                log.info("claim_lost", kind=kind.name, id=held.row.id)
            except Exception as error:
                db.session.rollback()
                log.exception("operation_broke", kind=kind.name, id=held.row.id)
                first = first or error
    if first is not None:
        raise first


def _claim(kind: Kind[Any], ids: Sequence[str], now: datetime) -> Iterator[Held]:
    """Claim those that are due and free, and load them; in the order of `ids`."""
    model = kind.model
    known = {"ids": list(ids), "now": now, "owner": LEASE_OWNER, "lease_seconds": settings().lease_seconds}
    fences: dict[str, int] = dict(db.session.execute(_claim_those(model.__table__), known).all())
    db.session.commit()
    if not fences:
        return
    # What was loaded for earlier rows may have changed since: nothing of it is believed any more.
    db.session.expire_all()
    loading = select(model).where(model.id.in_(fences)).options(*kind.loading)
    rows = {row.id: row for row in db.session.scalars(loading)}
    for row_id in ids:
        if row_id in rows and row_id in fences:
            yield Held(kind, rows[row_id], fences.pop(row_id))


@cache
def _claim_those(table: Table) -> ReturningUpdate[Any]:
    """The conditional UPDATE that claims; made once."""
    free = or_(table.c.lease_until.is_(None), table.c.lease_until < database_now())
    due = table.c.next_attempt_at <= bindparam("now", type_=UtcDateTime())
    claimed = update(table).where(table.c.id.in_(bindparam("ids", expanding=True)), due, free)
    lease = database_now(bindparam("lease_seconds", type_=Float()))
    taken = claimed.values(lease_owner=bindparam("owner"), lease_until=lease, fence=table.c.fence + 1)
    return taken.returning(table.c.id, table.c.fence)


def _claim_again(held: Held) -> bool:
    """Begin the lease anew, if the claim still is ours; the row may have been changed by people meanwhile."""
    model = held.kind.model
    mine = update(model).where(model.id == held.row.id, model.fence == held.fence)
    statement = mine.values(lease_until=database_now(settings().lease_seconds))
    result = db.session.execute(statement.execution_options(synchronize_session=False))
    db.session.commit()
    db.session.refresh(held.row)
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _drive_held(held: Held, clock: Clock, job: JobName | None) -> None:
    """Run step after step (numbered in the module's docstring). Raises LostClaim, and what a step did not expect."""
    patience = _Patience()
    while True:
        if (elsewhere := _belongs_elsewhere(held, job)) is not None:
            give_back(held, clock() + RUNG_ELSEWHERE)
            ring(elsewhere, [held.row.id])
            return
        outcome = _run_step(held, clock)
        if outcome is None:
            return
        now = clock()
        if isinstance(outcome, Wait) and not outcome.values and patience.has_time(outcome, now):
            set_committed_value(held.row, "polls", held.row.polls + 1)
            patience.pause()
            continue
        point = f"{held.kind.name}.{held.state.value}"
        keep = _goes_on(outcome, now)
        _record(held, outcome, now, keep=keep)
        faultpoint(f"{point}.recorded")
        if not keep:
            return


def _belongs_elsewhere(held: Held, job: JobName | None) -> JobName | None:
    """The other job that the row's next step belongs in; None where it may run here."""
    if job is None or held.kind.job_of is None:
        return None
    wanted = held.kind.job_of(held.row)
    return wanted if wanted is not job else None


def _goes_on(outcome: Advance | Wait, now: datetime) -> bool:
    """Whether the next step may run at once, under the same claim."""
    if isinstance(outcome, Wait) or outcome.failure is not None or outcome.due_at is None:
        return False
    return outcome.due_at <= now


def _record(held: Held, outcome: Advance | Wait, now: datetime, *, keep: bool) -> None:
    """Write an outcome. Where it cannot be written, that is a failed try like any other: with its wait, and in the end
    a person. The answer to a commit may be what was lost: then it is the state as it is now that is tried again.

    After a failed try each step is committed by itself: a local step that breaks must not take back, time and again,
    what was done before it. Raises LostClaim, and what the writing raised.
    """
    is_shared = keep and held.row.attempts == 0 and _is_local_after(held, outcome)
    try:
        record(held, outcome, now, keep=keep, commit=not is_shared)
    except LostClaim:
        raise
    except Exception:
        db.session.rollback()
        record_failure(held, AdapterError("unexpected", permanent=False), now)
        raise


def _is_local_after(held: Held, outcome: Advance | Wait) -> bool:
    """Whether the next step touches nothing outside: then one transaction holds both, all or nothing."""
    if not isinstance(outcome, Advance):
        return False
    to_state = held.kind.transitions.get((held.state, outcome.event))
    return to_state in held.kind.local


def _run_step(held: Held, clock: Clock) -> Advance | Wait | None:
    """Run the step of the row's state. Returns None after a failure, which always leaves the row.

    Raises LostClaim; an error that no step is meant to raise is recorded and raised again.
    """
    kind, state = held.kind, held.state
    point = f"{kind.name}.{state.value}"
    try:
        faultpoint(f"{point}.before")
        outcome = kind.steps[state](held.row, clock())
        faultpoint(f"{point}.after")
    except (AdapterError, DomainError) as error:
        db.session.rollback()
        record_failure(held, error, clock())
        return None
    except Exception as error:
        db.session.rollback()
        code = "injected_fault" if isinstance(error, InjectedFault) else "unexpected"
        record_failure(held, AdapterError(code, permanent=False), clock())
        raise
    return outcome


class _Patience:
    """The little time that a drive may spend on looking again."""

    def __init__(self) -> None:
        self._left = BRIEF_WAIT
        self._pauses = iter(BRIEF_PAUSES)

    def has_time(self, outcome: Wait, now: datetime) -> bool:
        return self._left > 0 and outcome.until - now <= WORTH_A_LOOK

    def pause(self) -> None:
        seconds = next(self._pauses, BRIEF_PAUSES[-1])
        time.sleep(seconds)
        self._left -= seconds

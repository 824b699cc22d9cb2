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

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import structlog
from sqlalchemy.orm.attributes import set_committed_value

from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.faults import InjectedFault, faultpoint
from portal.queue import JobName, ring
from portal.services.claiming import claim, claim_again
from portal.services.operations import Advance, Clock, Kind, Wait
from portal.services.recording import Held, LostClaim, give_back, record, record_failure

log = structlog.get_logger(__name__)

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


def drive(kind: Kind[Any], row_id: str, clock: Clock, job: JobName | None = None) -> None:
    """Run every step of one row that need not wait. An unexpected error is raised once it is recorded."""
    drive_all(kind, [row_id], clock, job)


def drive_all(kind: Kind[Any], ids: Sequence[str], clock: Clock, job: JobName | None = None) -> None:
    """Drive each row; one that breaks does not hold the others up. The first unexpected error is raised at the end.

    `job` is the one at hand: a step that belongs in another is rung for there. Without it every step is done here.
    """
    drive = _Drive(clock, job)
    queue = iter(ids)
    while chunk := list(islice(queue, kind.claimed_at_once)):
        claimed_at = time.monotonic()
        for held in claim(kind, chunk, clock()):
            drive.row(held, claimed_at)
        drive.settle()
    drive.ring_elsewhere()
    if drive.first_error is not None:
        raise drive.first_error


class _Drive:
    """One call of `drive_all`: what its rows share.

    `_ends` are rows whose last step, a local one, is written and not committed yet: such ends share a transaction.
    Where it is lost by what another row does, their claims still hold, and each is driven again by itself.
    """

    def __init__(self, clock: Clock, job: JobName | None) -> None:
        self.first_error: Exception | None = None
        self._clock = clock
        self._job = job
        self._ends: list[Held] = []
        self._may_share = True
        self._elsewhere: dict[JobName, list[str]] = {}

    def row(self, held: Held, claimed_at: float) -> None:
        """Run every step of a row that need not wait (numbered in the module's docstring)."""
        try:
            is_ours = time.monotonic() - claimed_at < STALE_CLAIM or claim_again(held)
            went_well = not is_ours or self._steps(held)
        except LostClaim:
            log.info("claim_lost", kind=held.kind.name, id=held.row.id)
            went_well = False
        except Exception as error:
            db.session.rollback()
            log.exception("operation_broke", kind=held.kind.name, id=held.row.id)
            self.first_error = self.first_error or error
            went_well = False
        if not went_well:
            self._drive_ends_again()

    def settle(self) -> None:
        """Commit the ends that rows share."""
        if not self._ends:
            return
        try:
            db.session.commit()
        except Exception:
            db.session.rollback()
            log.exception("shared_commit_broke", rows=len(self._ends))
            self._drive_ends_again()
        else:
            self._ends.clear()

    def ring_elsewhere(self) -> None:
        """Ring for what belongs in other jobs, all at once."""
        for job, ids in self._elsewhere.items():
            ring(job, ids)

    def _steps(self, held: Held) -> bool:
        """Step after step; whether nothing was rolled back. Raises LostClaim, and what a step did not expect."""
        patience = _Patience()
        while True:
            if held.state not in held.kind.steps:
                # Driven again after a commit whose answer was lost, and which had gone through; or somebody else came.
                return True
            if held.state not in held.kind.local:
                self.settle()
            if (elsewhere := _belongs_elsewhere(held, self._job)) is not None:
                self.settle()
                give_back(held, self._clock() + RUNG_ELSEWHERE)
                self._elsewhere.setdefault(elsewhere, []).append(held.row.id)
                return True
            outcome = _run_step(held, self._clock)
            if outcome is None:
                return False
            now = self._clock()
            if isinstance(outcome, Wait) and not outcome.values and patience.has_time(outcome, now):
                set_committed_value(held.row, "polls", held.row.polls + 1)
                patience.pause()
                continue
            point = f"{held.kind.name}.{held.state.value}"
            is_end = not _goes_on(outcome, now)
            self._record(held, outcome, now, is_end=is_end)
            faultpoint(f"{point}.recorded")
            if is_end:
                return True

    def _record(self, held: Held, outcome: Advance | Wait, now: datetime, *, is_end: bool) -> None:
        """Write an outcome, and commit it unless what comes next may share the transaction.

        After a failed try each step is committed by itself: a local step that breaks must not take back, time and
        again, what was done before it.
        """
        is_failure = isinstance(outcome, Advance) and outcome.failure is not None
        was_local = held.state in held.kind.local and not is_failure
        shares = (was_local if is_end else _is_local_after(held, outcome)) and held.row.attempts == 0
        shares = shares and self._may_share
        _write(held, outcome, now, keep=not is_end, commit=not shares)
        if is_end and shares:
            self._ends.append(held)
        if not shares:
            self._ends.clear()

    def _drive_ends_again(self) -> None:
        """The transaction that held these ends is gone: each is driven to its end by itself."""
        ends, self._ends = self._ends, []
        before, self._may_share = self._may_share, False
        for held in ends:
            self.row(held, time.monotonic())
        self._may_share = before


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


def _write(held: Held, outcome: Advance | Wait, now: datetime, *, keep: bool, commit: bool) -> None:
    """Write an outcome. Where it cannot be written, that is a failed try like any other: with its wait, and in the end
    a person. The answer to a commit may be what was lost: then it is the state as it is now that is tried again.

    Raises LostClaim, and what the writing raised.
    """
    try:
        record(held, outcome, now, keep=keep, commit=commit)
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

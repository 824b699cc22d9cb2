"""What becomes of an outcome that cannot be written down, and of steps that share a transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

from portal.domain.renewal import RETRY_INTERVALS, TRANSITIONS, RenewalEvent, RenewalState
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.queue import JobName
from portal.services import driving
from portal.services.operations import Advance, Kind
from portal.services.recording import TELL_AFTER_ATTEMPTS
from tests.factories import Cast, Factory


@pytest.fixture
def renewal(factory: Factory, cast: Cast, now: datetime) -> Renewal:
    return factory.renewal(factory.hosting(factory.certificate(cast.organisation)), due=now)


def reread(renewal: Renewal) -> Renewal:
    db.session.expire_all()
    return db.session.get_one(Renewal, renewal.id)


@dataclass
class Line:
    """WAITING → STARTED → CHECKED, the second step local; `writing` comes with the first, `local` is the second."""

    writing: Any = None
    local: Any = None
    stopped: int = 0

    def kind(self) -> Kind[Renewal]:
        steps = {RenewalState.WAITING: self.start, RenewalState.STARTED: self.check}
        kind = Kind(
            "renewal", Renewal, TRANSITIONS, steps, JobName.ADVANCE_RENEWALS, lambda _row, _now: self.stop()
        )
        return replace(kind, local=frozenset({RenewalState.STARTED}))

    def start(self, _row: Renewal, now: datetime) -> Advance:
        return Advance(RenewalEvent.START, due_at=now, values={"started_at": now}, then=self.writing)

    def check(self, _row: Renewal, _now: datetime) -> Advance:
        if self.local is not None:
            self.local()
        return Advance(RenewalEvent.CHECK, due_at=None)

    def stop(self) -> None:
        self.stopped += 1


def broken() -> None:
    raise RuntimeError("a bug")


def try_once(line: Line, renewal: Renewal) -> Renewal:
    """Drive at the moment that the row is due."""
    due = reread(renewal).next_attempt_at
    assert due is not None
    with pytest.raises(RuntimeError, match="a bug"):
        driving.drive(line.kind(), renewal.id, lambda: due)
    return reread(renewal)


def test_an_outcome_that_cannot_be_written_waits_as_the_table_says_and_calls_a_person_in_the_end(
    renewal: Renewal, now: datetime
) -> None:
    line = Line(writing=broken)
    for attempts in range(1, TELL_AFTER_ATTEMPTS + 1):
        before = reread(renewal).next_attempt_at
        row = try_once(line, renewal)
        assert (row.state, row.attempts, row.error_code) == (RenewalState.WAITING, attempts, "unexpected")
        assert before is not None
        assert row.next_attempt_at == before + RETRY_INTERVALS[attempts - 1]
        assert row.lease_owner is None
    assert row.stopped_at is not None
    assert line.stopped == 1


def test_a_local_step_that_breaks_takes_back_what_was_done_before_it_once_and_not_again(
    renewal: Renewal, now: datetime
) -> None:
    line = Line(local=broken)
    assert try_once(line, renewal).state is RenewalState.WAITING
    row = try_once(line, renewal)
    assert (row.state, row.started_at is not None, row.attempts) == (RenewalState.STARTED, True, 1)
    line.local = None
    due = row.next_attempt_at
    assert due is not None
    driving.drive(line.kind(), renewal.id, lambda: due)
    assert reread(renewal).state is RenewalState.CHECKED

"""The runner: claims, fences, retries. Driven here with steps of the test's own over real renewal rows."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, update

from portal.adapters.errors import AdapterError
from portal.database import database_now
from portal.domain.errors import DomainError
from portal.domain.renewal import (
    RETRY_INTERVALS,
    RenewalState,
)
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.services import driving
from portal.services.operations import Advance, Kind, Wait, leave_transaction
from portal.services.recording import STOPPED_INTERVAL, TELL_AFTER_ATTEMPTS
from tests.factories import Cast, Factory
from tests.services.scripts import Script, events, permanent, reread, settle, temporary


@pytest.fixture
def renewal(factory: Factory, cast: Cast, now: datetime) -> Renewal:
    certificate = factory.certificate(cast.organisation)
    return factory.renewal(factory.hosting(certificate), due=now)


def test_a_step_is_recorded_with_its_history(renewal: Renewal, now: datetime) -> None:
    script = Script(settle)
    driving.drive(script.kind(), renewal.id, lambda: now)
    row = reread(renewal)
    assert (row.state, row.next_attempt_at, row.lease_until) == (RenewalState.STARTED, None, None)
    assert events(renewal) == [("waiting", "start", "started", None)]


def test_nothing_runs_before_it_is_due(renewal: Renewal, now: datetime) -> None:
    script = Script(settle)
    driving.drive(script.kind(), renewal.id, lambda: now - timedelta(seconds=1))
    assert script.ran == []


def test_a_leased_row_is_left_alone_until_the_lease_runs_out(renewal: Renewal, now: datetime) -> None:
    script = Script(settle)
    lease = database_now(60)
    db.session.execute(update(Renewal).values(lease_until=lease))
    db.session.commit()
    driving.drive(script.kind(), renewal.id, lambda: now)
    assert script.ran == []
    db.session.execute(update(Renewal).values(lease_until=database_now(-1)))
    db.session.commit()
    driving.drive(script.kind(), renewal.id, lambda: now)
    assert script.ran == [renewal.id]


def test_a_worker_clock_that_is_wrong_steals_no_lease(renewal: Renewal, now: datetime) -> None:
    script = Script(settle)
    db.session.execute(update(Renewal).values(lease_until=database_now(60)))
    db.session.commit()
    driving.drive(script.kind(), renewal.id, lambda: now + timedelta(days=40))
    assert script.ran == []


def test_a_writer_whose_claim_was_taken_over_changes_nothing(renewal: Renewal, now: datetime) -> None:
    def overtaken(row: Renewal, at: datetime) -> Advance:
        leave_transaction()
        db.session.execute(
            update(Renewal).values(fence=Renewal.fence + 1).execution_options(synchronize_session=False)
        )
        db.session.commit()
        return settle(row, at)

    script = Script(overtaken)
    db.session.execute(update(Renewal).values(next_attempt_at=now))
    db.session.commit()
    driving.drive(script.kind(), renewal.id, lambda: now)
    assert script.ran == [renewal.id]
    row = reread(renewal)
    assert row.state is RenewalState.WAITING
    assert events(renewal) == []


def test_many_drivers_at_once_run_a_step_once(core_app: Flask, renewal: Renewal, now: datetime) -> None:
    script, gate = Script(settle), threading.Barrier(6)
    kind, renewal_id = script.kind(), renewal.id

    def drive() -> None:
        with core_app.app_context():
            gate.wait(10)
            driving.drive(kind, renewal_id, lambda: now)
            db.session.remove()

    threads = [threading.Thread(target=drive) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert script.ran == [renewal_id]


@pytest.mark.parametrize("tries", [1, 2, 3, 6, 12, 13, 40])
def test_a_temporary_failure_waits_as_the_table_says(renewal: Renewal, now: datetime, tries: int) -> None:
    db.session.execute(update(Renewal).values(attempts=tries - 1))
    db.session.commit()
    driving.drive(Script(temporary).kind(), renewal.id, lambda: now)
    row = reread(renewal)
    assert row.attempts == tries
    assert row.next_attempt_at == now + RETRY_INTERVALS[min(tries, 12) - 1]
    assert (row.error_code, row.error_params) == ("ca_unavailable", {"name": "Example CA"})
    assert row.lease_until is None


def test_what_the_other_side_asks_for_is_honoured(renewal: Renewal, now: datetime) -> None:
    later = now + timedelta(hours=7)

    def limited(row: Renewal, at: datetime) -> Advance:
        raise AdapterError("ca_rate_limited", permanent=False, not_before=later)

    driving.drive(Script(limited).kind(), renewal.id, lambda: now)
    assert reread(renewal).next_attempt_at == later


@pytest.mark.parametrize(
    "refuse", [permanent, lambda row, now: (_ for _ in ()).throw(DomainError("spec_mismatch"))]
)
def test_a_permanent_failure_calls_a_person_once_and_is_still_tried_daily(
    renewal: Renewal, now: datetime, refuse: Any
) -> None:
    script = Script(refuse)
    driving.drive(script.kind(), renewal.id, lambda: now)
    tomorrow = now + STOPPED_INTERVAL
    driving.drive(script.kind(), renewal.id, lambda: tomorrow)
    row = reread(renewal)
    assert len(script.ran) == 2
    assert len(script.stopped) == 1
    assert (row.stopped_at, row.next_attempt_at) == (now, tomorrow + STOPPED_INTERVAL)
    assert [event[1] for event in events(renewal)] == ["stop"]


def test_failing_long_enough_calls_a_person_though_each_failure_looked_temporary(
    renewal: Renewal, now: datetime
) -> None:
    script, at = Script(temporary), now
    for _ in range(TELL_AFTER_ATTEMPTS):
        driving.drive(script.kind(), renewal.id, lambda at=at: at)
        at = reread(renewal).next_attempt_at or at
    assert script.stopped == ["ca_unavailable"]


def test_success_clears_what_went_wrong(renewal: Renewal, now: datetime) -> None:
    driving.drive(Script(permanent).kind(), renewal.id, lambda: now)
    driving.drive(Script(settle).kind(), renewal.id, lambda: now + STOPPED_INTERVAL)
    row = reread(renewal)
    assert (row.attempts, row.error_code, row.stopped_at) == (0, None, None)


def test_waiting_is_no_failure(renewal: Renewal, now: datetime) -> None:
    later = now + timedelta(minutes=5)
    driving.drive(Script(lambda row, at: Wait(later)).kind(), renewal.id, lambda: now)
    row = reread(renewal)
    assert (row.next_attempt_at, row.polls, row.attempts, row.error_code) == (later, 1, 0, None)


def test_a_brief_wait_is_looked_at_again_in_the_same_drive(renewal: Renewal, now: datetime) -> None:
    script = Script(lambda row, at: settle(row, at) if row.polls else Wait(at + timedelta(seconds=1)))
    driving.drive(script.kind(), renewal.id, lambda: now)
    assert reread(renewal).state is RenewalState.STARTED


def test_no_drive_waits_longer_than_its_patience(renewal: Renewal, now: datetime) -> None:
    script = Script(lambda row, at: Wait(at + timedelta(seconds=1)))
    driving.drive(script.kind(), renewal.id, lambda: now)
    assert len(script.ran) <= 1 + driving.BRIEF_WAIT / min(driving.BRIEF_PAUSES) + 1


def test_what_goes_with_a_step_is_rolled_back_with_it(renewal: Renewal, now: datetime) -> None:
    def with_trouble(row: Renewal, at: datetime) -> Advance:
        def trouble() -> None:
            raise RuntimeError("no")

        return replace(settle(row, at), then=trouble)

    with pytest.raises(RuntimeError):
        driving.drive(Script(with_trouble).kind(), renewal.id, lambda: now)
    db.session.rollback()
    assert reread(renewal).state is RenewalState.WAITING
    assert events(renewal) == []


def test_one_broken_row_does_not_hold_the_others_up(factory: Factory, cast: Cast, now: datetime) -> None:
    hosting = factory.hosting(factory.certificate(cast.organisation))
    rows = [factory.renewal(hosting, due=now, sequence=number) for number in (1, 2, 3)]

    def break_first(row: Renewal, at: datetime) -> Advance:
        if row.sequence == 1:
            raise RuntimeError("a bug")
        return settle(row, at)

    with pytest.raises(RuntimeError, match="a bug"):
        driving.drive_all(Script(break_first).kind(), [row.id for row in rows], lambda: now)
    assert [reread(row).state.value for row in rows] == ["waiting", "started", "started"]
    assert reread(rows[0]).error_code == "unexpected"


def shared(script: Script) -> Kind[Renewal]:
    """Its step touches nothing outside."""
    return replace(script.kind(), local=frozenset({RenewalState.WAITING}))


def rows_of(factory: Factory, cast: Cast, now: datetime, count: int = 4) -> list[Renewal]:
    hosting = factory.hosting(factory.certificate(cast.organisation))
    return [factory.renewal(hosting, due=now, sequence=number + 1) for number in range(count)]


def test_ends_that_touch_nothing_outside_are_committed_together(
    factory: Factory, cast: Cast, now: datetime
) -> None:
    rows = rows_of(factory, cast, now)
    commits: list[int] = []
    event.listen(db.session(), "after_commit", lambda _session: commits.append(1))
    driving.drive_all(shared(Script(settle)), [row.id for row in rows], lambda: now)
    assert {reread(row).state for row in rows} == {RenewalState.STARTED}
    assert all(events(row) == [("waiting", "start", "started", None)] for row in rows)
    # One for the claims, one for the four ends.
    assert len(commits) == 2


@pytest.mark.parametrize("trouble", ["fails", "breaks", "is taken over"])
def test_what_one_row_rolls_back_is_done_again_for_the_others(
    factory: Factory, cast: Cast, now: datetime, trouble: str
) -> None:
    rows = rows_of(factory, cast, now)

    def third_in_trouble(row: Renewal, at: datetime) -> Advance:
        if row.sequence != 3:
            return settle(row, at)
        if trouble == "fails":
            raise AdapterError("ca_unavailable", permanent=False)
        if trouble == "breaks":
            raise RuntimeError("a bug")
        stolen = update(Renewal).where(Renewal.id == row.id).values(fence=Renewal.fence + 1)
        db.session.execute(stolen.execution_options(synchronize_session=False))
        return settle(row, at)

    script = Script(third_in_trouble)
    with pytest.raises(RuntimeError) if trouble == "breaks" else nullcontext():
        driving.drive_all(shared(script), [row.id for row in rows], lambda: now)
    db.session.rollback()
    states = [reread(row).state.value for row in rows]
    assert states == ["started", "started", "waiting", "started"]
    assert [len(events(row)) for row in rows] == [1, 1, 0, 1]
    assert script.ran.count(rows[0].id) == 2
    assert all(reread(row).lease_until is None for row in rows if row.sequence != 3)

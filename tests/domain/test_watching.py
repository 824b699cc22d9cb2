"""What is wrong with an installation, by the traces of its processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from portal.domain.alarms import SEVERITY, AlarmKind
from portal.domain.watching import JUDGED, Limits, Traces, judge, rung_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)
MINUTE = timedelta(minutes=1)
LIMITS = Limits(
    scan=2 * MINUTE, scheduler=MINUTE, workers=3 * MINUTE, redis=MINUTE, work=5 * MINUTE, notices=15 * MINUTE
)
ALIVE = Traces(scan=NOW, scheduler=NOW, workers=NOW, redis=NOW)


def kinds(traces: Traces, since: datetime = LONG_AGO) -> set[AlarmKind]:
    return {one.kind for one in judge(traces, LIMITS, NOW, since)}


def test_nothing_is_wrong_where_everybody_was_heard():
    assert kinds(ALIVE) == set()


@pytest.mark.parametrize(
    ("part",      "kind",                       "minutes"),
    [
        ("scan",      AlarmKind.SCAN_SILENT,      2),
        ("scheduler", AlarmKind.SCHEDULER_SILENT, 1),
        ("workers",   AlarmKind.WORKERS_SILENT,   3),
    ],
)  # fmt: skip
class TestSilence:
    def test_it_begins_after_the_limit(self, part, kind, minutes):
        last = NOW - minutes * MINUTE
        assert kinds(replace(ALIVE, **{part: last})) == set()
        assert kinds(replace(ALIVE, **{part: last - timedelta(seconds=1)})) == {kind}

    def test_who_was_never_heard_is_silent_since_the_watch_began(self, part, kind, minutes):
        never = replace(ALIVE, **{part: None})
        assert kinds(never, NOW - minutes * MINUTE) == set()
        assert kinds(never, NOW - 4 * MINUTE) == {kind}

    def test_nobody_is_blamed_for_the_time_before_the_watch_began(self, part, kind, minutes):
        assert kinds(replace(ALIVE, **{part: LONG_AGO}), NOW - MINUTE / 2) == set()

    def test_a_trace_from_the_future_says_nothing(self, part, kind, minutes):
        assert kinds(replace(ALIVE, **{part: NOW + timedelta(days=40)})) == {kind}


def test_redis_is_away_where_those_who_live_have_not_heard_it():
    silent = NOW - timedelta(minutes=10)
    assert kinds(replace(ALIVE, redis=silent)) == {AlarmKind.REDIS_AWAY}
    assert AlarmKind.REDIS_AWAY in kinds(replace(ALIVE, redis=silent, scheduler=None))


def test_nobody_knows_of_redis_where_nobody_lives():
    gone = NOW - timedelta(minutes=10)
    assert kinds(Traces(gone, gone, gone, gone)) == {
        AlarmKind.SCAN_SILENT,
        AlarmKind.SCHEDULER_SILENT,
        AlarmKind.WORKERS_SILENT,
    }


def test_work_is_overdue_by_table():
    late = {"renewals": NOW - 6 * MINUTE, "notices": NOW - 4 * MINUTE, "orders": NOW - timedelta(hours=7)}
    (trouble,) = judge(replace(ALIVE, overdue=late), LIMITS, NOW, LONG_AGO)
    assert (trouble.kind, trouble.params["name"]) == (AlarmKind.WORK_OVERDUE, "orders, renewals")
    assert (trouble.params["minutes"], trouble.rung) == (420, 2)


def test_mail_that_waits_is_stuck():
    assert kinds(replace(ALIVE, oldest_mail=NOW - 15 * MINUTE)) == set()
    assert kinds(replace(ALIVE, oldest_mail=NOW - 16 * MINUTE)) == {AlarmKind.NOTICES_STUCK}


@pytest.mark.parametrize(
    ("hours", "rung"), [(0, 0), (0.9, 0), (1, 1), (5.9, 1), (6, 2), (24, 3), (48, 4), (1000, 9)]
)
def test_what_lasts_is_told_again_and_again_and_not_for_ever(hours, rung):
    assert rung_of(timedelta(hours=hours)) == rung


def test_every_kind_of_alarm_has_its_severity():
    assert set(SEVERITY) == set(AlarmKind)
    assert set(JUDGED) <= set(AlarmKind)

"""When a renewal falls due: the CA's window, the rule of the lifetime, the emergency; and the alarm ladder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.due import (
    ALARM_PARTS,
    DECIDED,
    DueReason,
    Life,
    Window,
    alarm_at,
    due,
    emergency_at,
    rungs_reached,
)
from portal.domain.renewal import lead_time

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
lifetimes = st.timedeltas(timedelta(hours=12), timedelta(days=400))
fractions = st.floats(0, 1, exclude_max=True)


def window(from_day: float, to_day: float) -> Window:
    return Window(START + from_day * DAY, START + to_day * DAY)


@pytest.mark.parametrize(
    ("lifetime_days", "suggested",      "point", "due_day", "reason"),
    [
        (90,            None,             0.0,     60.0,      DueReason.LIFETIME),
        (199,           None,             0.0,     169.0,     DueReason.LIFETIME),
        (365,           None,             0.0,     335.0,     DueReason.LIFETIME),
        (6,             None,             0.0,     3.0,       DueReason.LIFETIME),
        (90,            (58, 62),         0.0,     58.0,      DueReason.ARI),
        (90,            (58, 62),         0.5,     60.0,      DueReason.ARI),
        # A CA that must revoke moves the window to the past: that is when it was due, so it is due now.
        (90,            (1, 2),           0.5,     1.5,       DueReason.ARI),
        # A window at the very end, or behind it, is not waited for.
        (100,           (94, 98),         0.0,     94.0,      DueReason.ARI),
        (100,           (94, 98),         0.9,     95.0,      DueReason.EMERGENCY),
        (100,           (120, 130),       0.0,     95.0,      DueReason.EMERGENCY),
    ],
)  # fmt: skip
def test_the_first_rule_with_an_opinion_decides(lifetime_days, suggested, point, due_day, reason):
    life = Life(
        START,
        START + lifetime_days * DAY,
        window=window(*suggested) if suggested else None,
        point=point,
    )
    found = due(life)
    assert (found.reason, (found.at - START) / DAY) == (reason, pytest.approx(due_day))


@given(lifetimes, fractions, fractions, fractions, fractions)
def test_no_window_moves_a_renewal_into_the_last_twentieth(lifetime, jitter, point, start, length):
    begin = START + lifetime * start * 2
    suggested = Window(begin, begin + lifetime * length)
    found = due(Life(START, START + lifetime, jitter, suggested, point))
    assert found.at <= emergency_at(START, START + lifetime)


@given(lifetimes, fractions)
def test_the_rule_of_the_lifetime_leaves_time_before_the_emergency(lifetime, jitter):
    found = due(Life(START, START + lifetime, jitter))
    assert found.at < emergency_at(START, START + lifetime)


def test_a_window_is_spread_evenly():
    suggested = window(40, 50)
    days = [
        (due(Life(START, START + 90 * DAY, window=suggested, point=n / 10)).at - START) / DAY
        for n in range(10)
    ]
    assert days == pytest.approx([40, 41, 42, 43, 44, 45, 46, 47, 48, 49])


@pytest.mark.parametrize("reason", sorted(DECIDED))
def test_what_somebody_decided_is_no_rule_of_the_calendar(reason):
    assert reason not in {DueReason.LIFETIME, DueReason.ARI, DueReason.EMERGENCY}


@given(lifetimes)
def test_the_ladder_climbs_from_the_lead_to_the_expiry(lifetime):
    not_after = START + lifetime
    rungs = [alarm_at(START, not_after, rung) for rung in range(len(ALARM_PARTS))]
    assert rungs[0] > not_after - lead_time(START, not_after)
    assert rungs[-1] == not_after
    assert all(one < other for one, other in pairwise(rungs))
    assert alarm_at(START, not_after, len(ALARM_PARTS)) is None


def test_thirty_days_of_lead_are_told_at_20_15_7_3_and_1_days_and_at_the_end():
    not_after = START + 199 * DAY
    days = [(not_after - alarm_at(START, not_after, rung)) / DAY for rung in range(len(ALARM_PARTS))]
    assert days == pytest.approx([20, 15, 7.5, 3, 1, 0])


@given(lifetimes, fractions)
def test_the_rungs_reached_are_those_behind_us(lifetime, moment):
    not_after = START + lifetime
    now = not_after - lead_time(START, not_after) * (1 - moment)
    reached = rungs_reached(START, not_after, now)
    behind = [rung for rung in range(len(ALARM_PARTS)) if alarm_at(START, not_after, rung) <= now]
    assert reached == len(behind)

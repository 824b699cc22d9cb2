from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.due import Life, due
from portal.domain.renewal import (
    JITTER_PART,
    LONGEST_LEAD,
    POLL_INTERVALS,
    RETRY_INTERVALS,
    lead_time,
    poll_after,
    retry_after,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
lifetimes = st.timedeltas(timedelta(minutes=1), timedelta(days=400))
jitters = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("lifetime_days", "lead"),
    [
        (398,          timedelta(days=30)),
        (199,          timedelta(days=30)),
        (99,           timedelta(days=30)),
        (90,           timedelta(days=30)),
        (46,           timedelta(days=46) / 3),
        (12,           timedelta(days=4)),
        (10,           timedelta(days=10) / 3),
        (9.999,        timedelta(days=9.999) / 2),
        (6,            timedelta(days=3)),
        (1,            timedelta(hours=12)),
    ],
)  # fmt: skip
def test_the_lead_is_thirty_days_or_a_third_or_half_of_a_short_life(lifetime_days, lead):
    assert lead_time(START, START + timedelta(days=lifetime_days)) == lead


@given(lifetimes, jitters)
def test_a_renewal_falls_due_within_its_certificates_life(lifetime, jitter):
    moment = due(Life(START, START + lifetime, jitter)).at
    assert START < moment < START + lifetime


@given(lifetimes, jitters)
def test_jitter_only_delays_and_by_a_tenth_of_the_lead_at_most(lifetime, jitter):
    lead = lead_time(START, START + lifetime)
    delay = due(Life(START, START + lifetime, jitter)).at - due(Life(START, START + lifetime)).at
    assert timedelta(0) <= delay <= lead * JITTER_PART + timedelta(microseconds=2)
    assert lead <= LONGEST_LEAD


def test_retries_are_quick_at_first_and_then_daily_for_ever():
    assert [retry_after(attempts) for attempts in range(1, 4)] == list(RETRY_INTERVALS[:3])
    assert retry_after(12) == retry_after(1_000) == timedelta(days=1)


def test_polls_are_quick_at_first_and_then_every_five_minutes():
    assert poll_after(1) == timedelta(seconds=1)
    assert poll_after(len(POLL_INTERVALS)) == poll_after(1_000) == timedelta(minutes=5)


@pytest.mark.parametrize("table", [RETRY_INTERVALS, POLL_INTERVALS])
def test_waits_never_grow_shorter(table):
    assert list(table) == sorted(table)
    assert table[0] > timedelta(0)

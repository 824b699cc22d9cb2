"""When a hosting's checks are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from portal.domain.checks import WEEK, next_look, week_of

MADE = datetime(2026, 11, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("share", "after", "expected"),
    [
        (0.0, timedelta(0),           WEEK),
        (0.0, timedelta(seconds=1),   WEEK),
        (0.5, timedelta(0),           WEEK / 2),
        (0.5, WEEK / 2,               WEEK * 1.5),
        (0.5, 4 * DAY,                WEEK * 1.5),
        (0.5, WEEK * 10,              WEEK * 10.5),
        (0.25, -3 * WEEK,             WEEK / 4),
    ],
)  # fmt: skip
def test_looks_are_a_week_apart_and_each_row_has_its_own_time(
    share: float, after: timedelta, expected: timedelta
) -> None:
    assert next_look(MADE, share, MADE + after) == MADE + expected


def test_rows_made_in_one_go_are_spread_evenly() -> None:
    looks = [next_look(MADE, (number + 0.5) / 700, MADE + DAY) for number in range(700)]
    per_day = [sum((one - MADE - DAY) // DAY == day for one in looks) for day in range(7)]
    assert per_day == [100] * 7


def test_another_interval_may_be_asked_for() -> None:
    assert next_look(MADE, 0.5, MADE, every=90 * DAY) == MADE + 45 * DAY


def test_weeks_are_counted_from_the_row() -> None:
    assert [week_of(MADE, MADE + days * DAY) for days in (0, 6, 7, 13, 14)] == [0, 0, 1, 1, 2]

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.domain.term import (
    BEFORE_LIMITS,
    end_for_existing,
    end_for_new,
    is_renewal_owed,
    longest_validity,
    plan,
)

DAY = timedelta(days=1)
START = datetime(2026, 11, 24, tzinfo=UTC)
moments = st.datetimes(datetime(2026, 3, 15), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def test_an_existing_certificate_is_covered_a_paid_year_beyond_its_expiry():
    assert end_for_existing(START) == START + 365 * DAY


@pytest.mark.parametrize(("years", "days"), [(1, 365), (2, 730), (3, 1095)])
def test_a_new_purchase_is_covered_from_its_first_issuance(years, days):
    assert end_for_new(START, years) == START + days * DAY


@pytest.mark.parametrize(
    ("issued_on",                                "days"),
    [
        (datetime(2026, 3, 14, 23, 59, tzinfo=UTC), 398),
        (datetime(2026, 3, 15, tzinfo=UTC),         200),
        (datetime(2027, 3, 14, 23, 59, tzinfo=UTC), 200),
        (datetime(2027, 3, 15, tzinfo=UTC),         100),
        (datetime(2029, 3, 14, 23, 59, tzinfo=UTC), 100),
        (datetime(2029, 3, 15, tzinfo=UTC),          47),
    ],
)  # fmt: skip
def test_public_limits_begin_on_their_day(issued_on, days):
    assert longest_validity(issued_on) == timedelta(days=days)
    assert longest_validity(issued_on) <= BEFORE_LIMITS


@pytest.mark.parametrize(("validity_days", "certificates"), [(199, 2), (99, 5), (46, 12)])
def test_a_year_takes_as_few_certificates_as_the_limits_allow(validity_days, certificates):
    validity = validity_days * DAY
    coming = plan(START, START + validity, START + 365 * DAY, START, validity)
    assert 1 + len(coming) == certificates


def test_a_private_ca_fills_a_year_with_one_certificate():
    (only,) = plan(START - 189 * DAY, START + 10 * DAY, START + 375 * DAY, START, 396 * DAY)
    assert only.due_at == START
    assert only.expires_at == START + 396 * DAY


def test_nothing_is_owed_to_a_certificate_that_reaches_the_end():
    end = START + 100 * DAY
    assert plan(START, end, end, START) == ()
    assert not is_renewal_owed(end, end)
    assert is_renewal_owed(end - timedelta(seconds=1), end)


def test_the_plan_crosses_a_limit_that_begins_within_it():
    begin = datetime(2027, 1, 1, tzinfo=UTC)
    coming = plan(begin, begin + 199 * DAY, begin + 730 * DAY, begin)
    assert all(one.expires_at - one.due_at == 99 * DAY for one in coming)


@settings(deadline=None)
@given(moments, st.integers(1, 398), st.integers(0, 1095))
def test_a_plan_leaves_no_gap_and_stops_at_the_first_that_reaches_the_end(start, lifetime, years_of_days):
    end = start + timedelta(days=years_of_days)
    expires = start + timedelta(days=lifetime)
    coming = plan(start, expires, end, start)
    for one in coming:
        assert one.replaced_expires_at == expires
        assert one.due_at < one.replaced_expires_at < one.expires_at
        expires = one.expires_at
    assert expires >= end
    assert all(one.expires_at < end for one in coming[:-1])


def test_a_plan_that_cannot_progress_ends():
    assert plan(START, START + 100 * DAY, START + 365 * DAY, START, validity=DAY) == ()


def test_a_first_renewal_whose_day_is_set_is_planned_for_that_day():
    day = START + 172 * DAY
    first, *_ = plan(START, START + 199 * DAY, START + 365 * DAY, START, 199 * DAY, first_due=day)
    assert (first.due_at, first.expires_at) == (day, day + 199 * DAY)

"""Token buckets as one moment, and limits as they stand in settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from portal.domain.errors import DomainError
from portal.domain.rate_limits import (
    LETSENCRYPT,
    Counted,
    Event,
    Limit,
    read_limits,
    read_max_in_flight,
    scopes,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TEN = Limit("ten", Counted.ACCOUNT, Event.ORDER, 10, timedelta(hours=1))


def taken(limit: Limit, times: int, at: datetime = NOW) -> datetime | None:
    full_at: datetime | None = None
    for _ in range(times):
        full_at = limit.take(full_at, at)
        assert full_at is not None
    return full_at


def test_a_bucket_gives_what_it_holds_and_no_more() -> None:
    assert TEN.take(taken(TEN, 9), NOW) is not None
    assert TEN.take(taken(TEN, 10), NOW) is None


def test_one_token_comes_back_at_a_time() -> None:
    empty = taken(TEN, 10)
    free_at = TEN.free_at(empty, NOW)
    assert free_at == NOW + timedelta(minutes=6)
    assert TEN.take(empty, free_at - timedelta(seconds=1)) is None
    after = TEN.take(empty, free_at)
    assert after is not None
    assert TEN.take(after, free_at) is None


@pytest.mark.parametrize("times", range(11))
def test_what_is_left_is_counted(times: int) -> None:
    assert TEN.left(taken(TEN, times), NOW) == 10 - times


def test_a_bucket_that_rests_is_full_and_no_fuller() -> None:
    later = NOW + timedelta(days=30)
    assert TEN.left(taken(TEN, 10), later) == 10
    assert taken(TEN, 10, later) == later + timedelta(hours=1)


def test_over_any_span_no_more_is_given_than_capacity_and_refill() -> None:
    full_at, given = None, 0
    for second in range(0, 3 * 3600, 10):
        if (after := TEN.take(full_at, NOW + timedelta(seconds=second))) is not None:
            full_at, given = after, given + 1
    assert given == 10 + 29


def test_what_happened_is_counted_even_without_a_token() -> None:
    empty = taken(TEN, 10)
    assert TEN.spend(empty, NOW) == empty
    assert TEN.spend(None, NOW) == NOW + TEN.interval


def test_the_last_failure_is_never_tried() -> None:
    failures = next(one for one in LETSENCRYPT if one.event is Event.FAILURE)
    full_at = None
    for number in range(5):
        assert (failures.free_at(full_at, NOW) <= NOW) == (number < 4)
        full_at = failures.spend(full_at, NOW)
    assert failures.free_at(full_at, NOW) == NOW + timedelta(minutes=24)


@pytest.mark.parametrize(
    ("name", "capacity", "period", "spared"),
    [
        ("new_orders", 300, timedelta(hours=3), True),
        ("certificates_per_domain", 50, timedelta(days=7), True),
        ("certificates_per_names", 5, timedelta(days=7), True),
        ("failed_validations", 5, timedelta(hours=1), False),
    ],
)
def test_the_preset_has_the_cas_figures(name: str, capacity: int, period: timedelta, spared: bool) -> None:
    limit = next(one for one in read_limits({"limits": "letsencrypt"}) if one.name == name)
    assert (limit.capacity, limit.period, limit.spares_replacements) == (capacity, period, spared)


def test_an_account_without_limits_has_none() -> None:
    assert read_limits({}) == read_limits({"limits": "none"}) == read_limits({"limits": ""}) == ()


def table(**changed: object) -> dict[str, object]:
    plain = {"name": "own", "counts": "domain", "event": "certificate", "capacity": 20, "seconds": 3600}
    return plain | changed


def test_limits_may_be_written_out() -> None:
    (limit,) = read_limits({"limits": [table(spares_replacements=True)]})
    assert limit == Limit("own", Counted.DOMAIN, Event.CERTIFICATE, 20, timedelta(hours=1), True)


@pytest.mark.parametrize(
    "limits",
    [
        "letsencrpyt",
        [{}],
        [table(capacity=0)],
        [table(capacity=2_000_000)],
        [table(seconds=0)],
        [table(seconds="nan")],
        [table(counts="weather")],
        [table(kept=20)],
        [table(name="held")],
        [table(name="Own limit")],
        [table(burst=3)],
        [table(), table()],
        ["text"],
        7,
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: object) -> None:
    with pytest.raises(DomainError, match="field_wrong"):
        read_limits({"limits": limits})


@pytest.mark.parametrize(("given", "expected"), [(None, None), ("", None), ("20", 20), (5, 5)])
def test_concurrency_is_a_number(given: object, expected: int | None) -> None:
    assert read_max_in_flight({"max_in_flight": given}) == expected


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5", 0, True, "1000000", "٣x"])
def test_concurrency_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(DomainError, match="field_wrong"):
        read_max_in_flight({"max_in_flight": given})


def test_each_limit_counts_what_it_counts() -> None:
    names = ("*.shop.example.com", "shop.example.com", "a.example.com.cn", "b.example.com.cn")
    by_kind = {one.counts: scopes(one, names) for one in LETSENCRYPT}
    assert by_kind[Counted.ACCOUNT] == ("",)
    assert by_kind[Counted.DOMAIN] == ("example.com", "example.com.cn")
    assert by_kind[Counted.NAME] == ("a.example.com.cn", "b.example.com.cn", "shop.example.com")
    assert by_kind[Counted.NAMES] == scopes(LETSENCRYPT[2], tuple(reversed(names)))

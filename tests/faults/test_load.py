"""Fault 35: far more is due in one day than the CA allows. It is spread, within the quota, and in time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.history import HistoryEntry
from portal.models.hosting import Renewal
from tests.faults.world import World, done

PERIOD = timedelta(hours=3)


@pytest.mark.databases("postgresql")
def test_fault_35_five_times_the_quota_due_at_once_is_spread_and_in_time(world: World) -> None:
    """`make soak` takes 10,000, with the limits of Let's Encrypt."""
    renew_within_quota(world, count=30, capacity=6)


def renew_within_quota(world: World, count: int, capacity: int) -> None:
    """`count` renewals are due at once at an account that may order `capacity` times in PERIOD, by a token bucket."""
    limit = {"name": "orders", "counts": "account", "event": "order", "capacity": capacity}
    account = world.factory.ca_account(config={"limits": [{**limit, "seconds": PERIOD.total_seconds()}]})
    for number in range(count):
        world.pay_for(f"shop{number}.example.com", account)
    world.settle(PERIOD * (count / capacity + 2))
    done(world, count)
    ordered = orders_placed()
    assert len(ordered) == count
    check_quota(ordered, capacity)
    check_nobody_hammers(count)
    world.check()


def orders_placed() -> list[datetime]:
    query = select(HistoryEntry.at).where(HistoryEntry.event == "order").order_by(HistoryEntry.at)
    return list(db.session.scalars(query))


def check_quota(ordered: list[datetime], capacity: int) -> None:
    """In no time more than a bucket that was full at its beginning gives: what it holds, and what flows into it."""
    for first, begun in enumerate(ordered):
        for number, at in enumerate(ordered[first:], start=1):
            assert number <= capacity * (1 + (at - begun) / PERIOD) + 1, (begun, at, number)


def check_nobody_hammers(count: int) -> None:
    """Who has to wait is told for how long: a few claims for each renewal, not one each time a token comes free."""
    claims = db.session.scalars(select(Renewal.fence).where(Renewal.state == RenewalState.DONE)).all()
    assert len(claims) == count
    assert max(claims) <= 8, sorted(claims)[-10:]

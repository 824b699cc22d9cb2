"""Fault 13: workers whose clock is off by days. The second source of time is the database's clock, or the CA's.

The processes run under libfaketime; the database and this process do not.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from portal.clock import utc_now
from portal.database import database_now
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.services import heartbeats
from tests.faults.world import World, done
from tests.pebble import Pebble
from tests.servers import wait_until
from tests.stories.hosted_story import add_ca

OFF = [-40, -1, 1, 40]
LONG_AGO = utc_now() - timedelta(days=100)


def faketime(days: int) -> dict[str, str]:
    """The environment of a process whose clock is off; its monotonic clock is not."""
    program = shutil.which("faketime")
    assert program, "faketime is not installed: run tests/setup.sh"
    libraries = sorted(Path("/usr/lib").glob("**/libfaketimeMT.so.1"))
    return {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME": f"{days:+d}d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "PORTAL_CLOCK_TOLERANCE": "600",
    }


def renewals() -> list[Renewal]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(select(Renewal).order_by(Renewal.created_at, Renewal.id)))


def scanned(days: int) -> bool:
    """Whether a process with that clock has finished a scan."""
    db.session.rollback()
    at = heartbeats.last_beat(heartbeats.SCAN)
    return at is not None and abs(at - utc_now() - timedelta(days=days)) < timedelta(minutes=5)


def wait_for_scans(days: int) -> None:
    """Long enough for every tick to have rung for whatever it takes to be due."""
    wait_until(lambda: scanned(days), 40, "a scan under a clock that is off")
    first = heartbeats.last_beat(heartbeats.SCAN)
    assert first is not None
    wait_until(lambda: (heartbeats.last_beat(heartbeats.SCAN) or first) > first + timedelta(seconds=2), 40)
    db.session.rollback()


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("days", OFF)
def test_fault_13_nothing_is_started_nobody_called_late_and_no_lease_stolen(world: World, days: int) -> None:
    for number in range(4):
        certificate = world.factory.certificate(
            world.cast.organisation, names=(f"n{number}.example.com",), expires_in=timedelta(days=50)
        )
        world.factory.renewal(
            world.factory.hosting(certificate),
            due=utc_now() + timedelta(days=20),
            alarm_at=utc_now() + timedelta(days=30),
        )
    held = {"lease_owner": "another:1", "lease_until": database_now(300), "fence": 7}
    begun = {"state": RenewalState.STARTED, "started_at": utc_now(), "next_attempt_at": LONG_AGO}
    first = select(func.min(Renewal.id)).scalar_subquery()
    db.session.execute(update(Renewal).where(Renewal.id == first).values(**held, **begun))
    db.session.commit()
    with world.crew(workers=1, **faketime(days)):
        wait_for_scans(days)
        assert world.open_alarms() == ["clock_wrong"]
    assert sorted(one.state for one in renewals()) == sorted(["started", *["waiting"] * 3])
    assert sorted(one.fence for one in renewals()) == [0, 0, 0, 7]
    assert {one.lease_owner for one in renewals()} == {None, "another:1"}


@pytest.mark.databases("postgresql")
def test_fault_13_what_is_under_way_orders_nothing_and_goes_on_once_the_clocks_agree(world: World) -> None:
    world.pay_for("shop.example.com")
    world.drive_due_orders()
    (renewal,) = renewals()
    account = renewal.hosting.product.ca_account_id
    begun = update(Renewal).values(
        state=RenewalState.STARTED, started_at=utc_now(), next_attempt_at=utc_now(), ca_account_id=account
    )
    db.session.execute(begun)
    db.session.commit()
    with world.crew(workers=1, **faketime(40)):
        wait_until(lambda: renewals()[0].error_code == "clock_wrong", 40, "a refused order")
    (refused,) = renewals()
    assert refused.order_url is None
    assert (refused.next_attempt_at or utc_now()) > utc_now() + timedelta(days=39)
    with world.crew(PORTAL_CLOCK_TOLERANCE="600") as crew:
        world.wait(crew)
        done(world)
        wait_until(lambda: "clock_wrong" not in world.open_alarms(), 40, "the end of the alarm")
        world.check(crew.log())


@pytest.mark.databases("sqlite")
def test_fault_13_on_one_machine_the_clock_of_the_ca_is_the_second_one(world: World, acme: Pebble) -> None:
    world.issued = acme.issued
    world.pay_for("shop.example.com", add_ca(acme, utc_now(), acme.directory_url))
    world.drive_due_orders()
    with world.crew(workers=1, **faketime(1)):
        wait_until(lambda: renewals()[0].error_code == "clock_wrong", 40, "a refused start")
        assert "clock_wrong" in world.open_alarms()
    assert acme.issued() == []
    with world.crew(PORTAL_CLOCK_TOLERANCE="600") as crew:
        world.wait(crew, lambda: renewals()[0].order_url is not None)
        assert "clock_wrong" not in world.open_alarms()
        world.check(crew.log(), is_over=False)

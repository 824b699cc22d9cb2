"""Fault 12: no worker and no scheduler. The watchdog needs neither, nor Redis. (Fault 13: test_clock.)"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from portal.domain.alarms import AlarmKind
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.settings import child_environment
from tests.faults.world import World
from tests.servers import bound, stop, wait_until

IMPATIENT = {
    "PORTAL_SCHEDULER_SILENT_AFTER": "2",
    "PORTAL_WORKER_SILENT_AFTER": "2",
    "PORTAL_OVERDUE_AFTER": "2",
    "PORTAL_SWEEP_SECONDS": "1",
}
NOBODY = {
    AlarmKind.SCAN_SILENT.value,
    AlarmKind.SCHEDULER_SILENT.value,
    AlarmKind.WORKERS_SILENT.value,
    AlarmKind.WORK_OVERDUE.value,
}


@contextmanager
def watchdog(world: World, **more: str) -> Iterator[None]:
    environment = child_environment({**world.environment, "PORTAL_WATCH_SECONDS": "0.3", **more})
    db.session.rollback()
    with (world.folder / "watchdog.log").open("ab") as log:
        process = subprocess.Popen(
            bound([sys.executable, "-m", "jobs.watchdog"]), env=environment, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        stop(process, 5)


@pytest.mark.databases("postgresql")
def test_fault_12_nobody_works_and_the_watchdog_says_so_until_somebody_does(world: World) -> None:
    world.pay_for("a.example.com")
    world.drive_due_orders()
    with watchdog(world, PORTAL_REDIS_URL="unix:///nowhere/redis.sock", **IMPATIENT):
        wait_until(lambda: set(world.open_alarms()) >= NOBODY, 40, "alarms")
        assert world.renewal().state is RenewalState.WAITING
    with watchdog(world), world.crew() as crew:
        world.wait(crew)
        wait_until(lambda: not set(world.open_alarms()) & NOBODY, 40, "the end of the alarms")
        world.check(crew.log())

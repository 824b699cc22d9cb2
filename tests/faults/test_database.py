"""Faults 30 to 32 and 34: the database crashes, refuses, loses its answers, is full, or comes out of a backup."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from portal.app import create_core
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.authority import CaOrderKey
from portal.services import heartbeats
from portal.services.driving import drive_all
from portal.services.kinds import KINDS
from portal.services.ringing import due_ids, ring_due
from portal.settings import child_environment
from tests.databases import migrate, open_app
from tests.faults.postgres import crashing_cluster, cutting_proxy, refusing
from tests.faults.world import World, done
from tests.servers import PostgresCluster
from tests.services.orders import in_threads

LEASE = 1.1


def drive_through(world: World, seconds: float = 25) -> list[Exception]:
    """Drive until all is over, whatever the database says meanwhile; what it said. Leases are waited for."""
    said: list[Exception] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            world.drive_due()
            if world.is_over():
                db.session.rollback()
                return said
        except DBAPIError as error:
            said.append(error)
            db.session.rollback()
        # Leases run by the database's clock, waits between tries by ours.
        time.sleep(0.1)
        world.clock.now += timedelta(seconds=15)
    summary = world.summary()
    db.session.rollback()
    raise TimeoutError(summary)


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("code", ["40P01", "40001"], ids=["deadlock", "serialization"])
@pytest.mark.parametrize("table", ["renewals", "history", "certificates"])
def test_fault_30_a_write_that_the_database_gave_up_is_made_again(
    world: World, postgres: PostgresCluster, postgres_database: str, table: str, code: str
) -> None:
    every = {"renewals": 5, "history": 4, "certificates": 2}[table]
    world.pay_for("a.example.com")
    db.session.rollback()
    with refusing(postgres, postgres_database, table, code, every):
        said = drive_through(world)
    assert said
    world.check()


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("every", [7, 11])
def test_fault_30_a_commit_whose_answer_is_lost_is_neither_forgotten_nor_repeated(
    world: World, postgres: PostgresCluster, postgres_database: str, every: int
) -> None:
    world.pay_for("a.example.com")
    db.session.rollback()
    with cutting_proxy(postgres) as cutter:
        url = f"postgresql+psycopg://perennial@/{postgres_database}?host={cutter.folder}"
        with open_app(create_core(replace(world.settings, database_url=url))):
            cutter.every = every
            drive_through(world)
            cutter.every = 0
    assert cutter.cuts
    world.check()


@pytest.mark.databases("postgresql")
def test_fault_30_a_postgresql_that_crashes_under_the_workers_is_outlived(world: World) -> None:
    with crashing_cluster() as crashing:
        crashing.cluster.create("portal")
        url = crashing.cluster.url("portal")
        migrate(world.folder, url)
        settings = replace(world.settings, database_url=url)
        with open_app(create_core(settings)) as app:
            here = world.elsewhere(app, settings)
            here.pay_for("a.example.com")
            slow = {"renewal.keyed.after": "sleep:1.5"}
            with here.crew(slow) as crew:
                here.wait(crew, lambda: here.reached("renewal.keyed.after"))
                db.session.rollback()
                crashing.crash()
                time.sleep(1.5)
                assert crew.deaths.total() == 0
                crashing.start()
                db.engine.dispose()
                here.wait(crew)
                assert crew.deaths.total() == 0
                here.check(crew.log())


@pytest.mark.databases("postgresql")
def test_fault_30_ringing_and_claiming_the_same_rows_do_not_block_each_other_for_good(world: World) -> None:
    """Both lock many rows of one table: in whatever order they come to them, neither is given up as a deadlock."""
    kind = KINDS["notice"]
    world.bulk_notices(300)
    stop_at = time.monotonic() + 3
    backwards = itertools.count()

    def ring() -> None:
        while time.monotonic() < stop_at:
            ring_due(kind, world.clock.now + timedelta(days=next(backwards)))

    def claim() -> None:
        while time.monotonic() < stop_at:
            ids = due_ids(kind, world.clock.now + timedelta(days=400), 300)
            drive_all(kind, list(reversed(ids))[:60], lambda: world.clock.now - timedelta(days=400))
            drive_all(kind, ids[:60], world.clock)

    work = itertools.cycle([ring, claim])
    failures = in_threads(world.app, lambda: next(work)(), 4)
    assert [one for one in failures if isinstance(one, DBAPIError)] == []


# SQLite


@pytest.mark.databases("sqlite")
def test_fault_31_eight_writers_on_sqlite_meet_no_locked_database_and_claim_nothing_twice(
    world: World,
) -> None:
    for number in range(24):
        world.pay_for(f"shop{number}.example.com")
    now, beats = world.clock.now, itertools.count()

    def work() -> None:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            heartbeats.beat(f"writer{next(beats) % 8}", now)
            rows = [(kind, due_ids(KINDS[kind], now)) for kind in ("order", "renewal")]
            if not any(ids for _, ids in rows):
                return
            for kind, ids in rows:
                drive_all(KINDS[kind], ids, world.clock)
            db.session.rollback()

    assert in_threads(world.app, work, 8) == [None] * 8
    done(world, 24)
    world.check()


# Disk


#: Drives what is due in a process that may write files of this many bytes and no more.
DRIVE = """
import resource, signal, sys
from sqlalchemy.exc import SQLAlchemyError
from portal.app import create_core
from portal.clock import utc_now
from portal.services.scanning import work_until_idle
from portal.settings import from_env
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
app = create_core(from_env())
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
with app.app_context():
    try:
        work_until_idle()
    except SQLAlchemyError as error:
        print("refused", type(error).__name__)
"""


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("limit", [4096, 40_000], ids=["not a page", "not the probe"])
def test_fault_32_nothing_is_ordered_while_sqlite_s_disk_is_full(world: World, limit: int) -> None:
    world.pay_for("a.example.com")
    world.drive_due_orders()
    db.session.rollback()
    db.engine.dispose()
    tried = subprocess.run(
        [sys.executable, "-c", DRIVE, str(limit)],
        env=child_environment(world.environment),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert tried.returncode == 0, tried.stderr
    renewal = world.renewal()
    assert (renewal.order_url, renewal.successor_id) == (None, None)
    assert db.session.scalar(select(func.count()).select_from(CaOrderKey)) == 0
    time.sleep(LEASE)
    world.settle(timedelta(hours=1))
    done(world)
    world.check()


@pytest.mark.databases("postgresql")
def test_fault_32_nothing_is_ordered_while_postgresql_s_disk_is_full(
    world: World, postgres: PostgresCluster, postgres_database: str
) -> None:
    world.pay_for("a.example.com")
    world.drive_due_orders()
    db.session.rollback()
    with refusing(postgres, postgres_database, "renewals", "53100", 1), pytest.raises(DBAPIError):
        world.drive_due()
    assert (world.renewal().state, world.renewal().order_url) == (RenewalState.WAITING, None)
    world.settle(timedelta(hours=1))
    done(world)
    world.check()

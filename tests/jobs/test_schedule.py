"""The schedule in Redis is what PERIODIC says, whatever happened to it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from jobs.schedule import PERIODIC, Bell, BellScheduler, reconcile
from portal.doorbell import own_connection, queue
from portal.extensions import db
from portal.models.history import Heartbeat
from portal.queue import QUEUE_OF, JobName, QueueName
from portal.services import heartbeats
from portal.settings import Settings, child_environment
from tests import servers
from tests.servers import wait_until

IDS = {one.id for one in PERIODIC}
KEY = BellScheduler.scheduled_jobs_key


@pytest.fixture
def connection(settings: Settings) -> Iterator[Redis]:
    with own_connection(settings) as one:
        yield one


@pytest.fixture
def scheduler(connection: Redis) -> BellScheduler:
    return BellScheduler(connection)


def waiting(connection: Redis) -> list[str]:
    """Ids in all queues."""
    return [entry for name in QueueName for entry in queue(name, connection).job_ids]


def scores(connection: Redis) -> dict[str, float]:
    return {entry.decode(): score for entry, score in connection.zrange(KEY, 0, -1, withscores=True)}


def test_an_empty_redis_gets_the_whole_schedule(connection: Redis, settings: Settings) -> None:
    assert set(reconcile(connection, settings)) == IDS
    assert set(scores(connection)) == IDS
    assert reconcile(connection, settings) == []


def test_every_periodic_job_is_one_that_workers_may_run() -> None:
    assert all(one.job in QUEUE_OF for one in PERIODIC)
    assert len(IDS) == len(PERIODIC)


def test_a_lost_entry_is_restored(connection: Redis, settings: Settings) -> None:
    reconcile(connection, settings)
    connection.zrem(KEY, "periodic-tick")
    assert reconcile(connection, settings) == ["periodic-tick"]


def test_an_entry_whose_job_is_gone_is_restored(connection: Redis, settings: Settings) -> None:
    reconcile(connection, settings)
    connection.delete("rq:job:periodic-sweep")
    assert reconcile(connection, settings) == ["periodic-sweep"]


def test_a_changed_interval_is_corrected(
    connection: Redis, settings: Settings, scheduler: BellScheduler
) -> None:
    reconcile(connection, settings)
    assert reconcile(connection, replace(settings, tick_seconds=7)) == ["periodic-tick"]
    tick = scheduler.entry("periodic-tick")
    assert tick is not None
    assert tick.meta["interval"] == 7


def test_an_entry_put_off_by_a_wrong_clock_is_due_again(connection: Redis, settings: Settings) -> None:
    reconcile(connection, settings)
    connection.zadd(KEY, {"periodic-tick": time.time() + 40 * 86400})
    assert reconcile(connection, settings) == ["periodic-tick"]
    assert scores(connection)["periodic-tick"] <= time.time()


def test_an_unknown_entry_is_removed(connection: Redis, settings: Settings, scheduler: BellScheduler) -> None:
    scheduler.schedule(datetime.now(UTC), "os.system", args=["true"], interval=1, id="somebody")
    reconcile(connection, settings)
    assert set(scores(connection)) == IDS


@pytest.mark.parametrize(
    "poison",
    [
        {"data": b"\x80\x04junk", "meta": b"\x80junk", "created_at": b"never"},
        {"data": b"x", "meta": b"[]"},
        {"data": b"x", "timeout": b"soon"},
        {"created_at": b"2026-01-01T00:00:00Z"},
    ],
)
def test_a_poison_entry_does_not_stop_those_behind_it(
    connection: Redis, settings: Settings, scheduler: BellScheduler, poison: dict[str, bytes]
) -> None:
    reconcile(connection, settings)
    connection.hset("rq:job:poison", mapping=poison)  # type: ignore[arg-type]
    connection.zadd(KEY, {"poison": 0})
    connection.delete("rq:job:periodic-tick")
    connection.hset("rq:job:periodic-tick", mapping=poison)  # type: ignore[arg-type]
    scheduler.enqueue_jobs()
    assert set(waiting(connection)) == IDS - {"periodic-tick"}
    assert "poison" not in scores(connection)
    reconcile(connection, settings)
    scheduler.enqueue_jobs()
    assert "periodic-tick" in waiting(connection)


def test_ringing_moves_the_entry_on_and_keeps_it(
    connection: Redis, settings: Settings, scheduler: BellScheduler
) -> None:
    reconcile(connection, settings)
    assert scheduler.enqueue_jobs() == len(PERIODIC)
    assert set(waiting(connection)) == IDS
    assert set(scores(connection)) == IDS
    tick = scores(connection)["periodic-tick"] - time.time()
    assert 0 < tick <= settings.tick_seconds
    assert scheduler.enqueue_jobs() == 0


def test_a_job_that_still_waits_is_not_queued_twice(
    connection: Redis, settings: Settings, scheduler: BellScheduler
) -> None:
    reconcile(connection, settings)
    for _ in range(3):
        connection.zadd(KEY, {"periodic-tick": 0})
        scheduler.enqueue_jobs()
    assert waiting(connection).count("periodic-tick") == 1


def test_two_schedulers_take_turns(connection: Redis, settings: Settings, core_app: object) -> None:
    first, second = BellScheduler(connection), Bell(connection, settings)
    assert first.acquire_lock()
    second.turn()
    assert waiting(connection) == []
    first.remove_lock()
    second.turn()
    assert set(waiting(connection)) == IDS


def test_a_turn_leaves_a_heartbeat_now_and_then(
    connection: Redis, settings: Settings, core_app: object, now: datetime
) -> None:
    bell = Bell(connection, settings)
    assert heartbeats.is_silent(heartbeats.SCHEDULER, now, 60)
    bell.turn()
    first = heartbeats.last_beat(heartbeats.SCHEDULER)
    assert first is not None
    assert not heartbeats.is_silent(heartbeats.SCHEDULER, now, 60)
    bell.turn()
    assert heartbeats.last_beat(heartbeats.SCHEDULER) == first
    heartbeats.beat(heartbeats.SCHEDULER, first.replace(year=first.year + 1))
    assert db.session.query(Heartbeat).filter_by(name=heartbeats.SCHEDULER).count() == 1
    assert heartbeats.last_beat(heartbeats.REDIS) is not None


def test_a_flushed_redis_is_filled_again_with_the_next_turn(
    connection: Redis, settings: Settings, core_app: object
) -> None:
    bell = Bell(connection, settings)
    bell.turn()
    connection.flushall()
    bell.turn()
    assert set(scores(connection)) == IDS


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_process_outlives_an_outage_of_redis(
    database: object, settings: Settings, tmp_path: Path
) -> None:
    with servers.short_folder("outage") as folder:
        environment = child_environment(
            {
                "PORTAL_DATA_DIR": str(tmp_path),
                "PORTAL_DATABASE_URL": settings.database_url,
                "PORTAL_REDIS_URL": f"unix://{folder / 'redis.sock'}",
            }
        )
        with servers.redis_server(folder):
            process = subprocess.Popen([sys.executable, "-m", "jobs.schedule"], env=environment)
            with Redis(unix_socket_path=str(folder / "redis.sock")) as connection:
                wait_until(lambda: set(scores(connection)) == IDS)
        try:
            time.sleep(1)
            assert process.poll() is None
            with (
                servers.redis_server(folder),
                Redis(unix_socket_path=str(folder / "redis.sock")) as connection,
            ):
                wait_until(lambda: set(waiting(connection)) == IDS)
                process.terminate()
                assert process.wait(10) == 0
        finally:
            servers.stop(process)


def test_the_tick_is_honoured(connection: Redis, settings: Settings, core_app: object) -> None:
    bell = Bell(connection, replace(settings, tick_seconds=1))
    clock = queue(QUEUE_OF[JobName.TICK], connection)
    rings, end = 0, time.monotonic() + 4.2
    while time.monotonic() < end:
        time.sleep(bell.turn())
        rings += clock.remove("periodic-tick") or 0
    assert rings >= 4

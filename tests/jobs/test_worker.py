"""A worker process: what it runs, what it refuses, what it outlives."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import Worker

from jobs.schedule import PERIODIC, BellScheduler, note_damage
from jobs.worker import StepWorker, care, leave
from portal.domain.alarms import AlarmKind
from portal.doorbell import AllowedJob, EvictingRedisError, own_connection, queue, refuse_eviction
from portal.models.types import new_id
from portal.queue import QUEUE_OF, JobName, QueueName
from portal.services import alarm_board, heartbeats
from portal.services.scanning import SCAN
from portal.settings import Settings, child_environment
from tests import servers
from tests.servers import wait_until


@pytest.fixture
def connection(settings: Settings) -> Iterator[Redis]:
    with own_connection(settings) as one:
        yield one


def work_off(app: Flask, connection: Redis) -> StepWorker:
    """Run everything that is queued, in this process."""
    one = StepWorker(app, connection)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        one.work(burst=True, logging_level="WARNING")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return one


def failed(connection: Redis, name: QueueName) -> list[str]:
    registry = FailedJobRegistry(name.value, connection, job_class=AllowedJob, serializer=JSONSerializer)
    return list(registry.get_job_ids())


def test_a_tick_scans_and_leaves_its_heartbeat(core_app: Flask, connection: Redis, now: datetime) -> None:
    queue(QueueName.CLOCK, connection).enqueue(JobName.TICK.value)
    one = work_off(core_app, connection)
    assert one.jobs_done == 1
    assert failed(connection, QueueName.CLOCK) == []
    assert not heartbeats.is_silent(SCAN, now, 60)


@pytest.mark.parametrize("job", list(JobName))
def test_every_job_name_is_a_function_that_runs(core_app: Flask, connection: Redis, job: JobName) -> None:
    """Ids that name no row are what a job finds whose row was done and gone."""
    name = QUEUE_OF[job]
    ids = () if name is QueueName.CLOCK else (new_id(),)
    queue(name, connection).enqueue(job.value, *ids)
    work_off(core_app, connection)
    assert failed(connection, name) == []


@pytest.mark.parametrize("function", ["os.system", "subprocess.call", "jobs.worker.main"])
def test_a_function_that_is_no_job_of_ours_is_not_run(
    core_app: Flask, connection: Redis, tmp_path: Path, function: str
) -> None:
    mark = tmp_path / "ran"
    job = Job.create(
        function, args=[f"touch {mark}"], connection=connection, origin="clock", serializer=JSONSerializer
    )
    job.save()
    connection.rpush("rq:queue:clock", job.id)
    work_off(core_app, connection)
    assert failed(connection, QueueName.CLOCK) == [job.id]
    assert not mark.exists()


def test_a_pickled_job_is_not_opened(core_app: Flask, connection: Redis, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    payload = f"cos\nsystem\n(S'touch {mark}'\ntR.".encode()
    connection.hset("rq:job:pickled", mapping={"data": payload, "origin": "clock", "created_at": ""})
    connection.rpush("rq:queue:clock", "pickled")
    queue(QueueName.CLOCK, connection).enqueue(JobName.TICK.value)
    work_off(core_app, connection)
    assert not mark.exists()
    assert queue(QueueName.CLOCK, connection).job_ids == []


def test_queues_are_taken_in_order(core_app: Flask, connection: Redis) -> None:
    one = StepWorker(core_app, connection)
    assert one.queue_names() == [name.value for name in QueueName]


def test_care_mends_the_schedule(
    core_app: Flask, connection: Redis, settings: Settings, now: datetime
) -> None:
    heartbeats.beat(heartbeats.SCHEDULER, now)
    care(connection, settings, now)
    assert connection.zcard(BellScheduler.scheduled_jobs_key) == len(PERIODIC)
    assert heartbeats.last_beat(SCAN) is None


def test_a_worker_scans_by_itself_where_the_scheduler_is_silent(
    core_app: Flask, connection: Redis, settings: Settings, now: datetime
) -> None:
    heartbeats.beat(heartbeats.SCHEDULER, now - timedelta(seconds=settings.scheduler_silent_after + 1))
    care(connection, settings, now)
    assert heartbeats.last_beat(SCAN) == now


def test_maintenance_takes_care_and_not_with_every_look(
    core_app: Flask, connection: Redis, session: object
) -> None:
    one = StepWorker(core_app, connection)
    one.run_maintenance_tasks()
    first = heartbeats.last_beat(SCAN)
    assert first is not None
    one.run_maintenance_tasks()
    assert heartbeats.last_beat(SCAN) == first


def test_an_evicting_redis_is_refused(connection: Redis) -> None:
    refuse_eviction(connection)
    connection.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(EvictingRedisError, match="allkeys-lru"):
            refuse_eviction(connection)
    finally:
        connection.config_set("maxmemory-policy", "noeviction")


def test_it_leaves_signs_of_life_that_need_no_redis_to_be_read(
    core_app: Flask, connection: Redis, session: object, now: datetime
) -> None:
    queue(QueueName.CLOCK, connection).enqueue(JobName.TICK.value)
    work_off(core_app, connection)
    assert not heartbeats.is_silent(heartbeats.worker_name(), now, 60)
    assert not heartbeats.is_silent(heartbeats.REDIS, now, 60)
    leave(core_app)
    assert heartbeats.last_of_workers(now + timedelta(minutes=1)) is None


@pytest.mark.parametrize(
    ("mended", "alarmed"),
    [
        ([], False),
        (["periodic-tick"], True),
        (["somebody-elses"], True),
        ([one.id for one in PERIODIC], False),
    ],
)
def test_a_schedule_that_was_damaged_is_told_of_and_one_lost_with_its_redis_is_not(
    core_app: Flask, session: object, now: datetime, mended: list[str], alarmed: bool
) -> None:
    note_damage(mended, now)
    kinds = {one.kind for one in alarm_board.read().open}
    assert kinds == ({AlarmKind.SCHEDULE_DAMAGED} if alarmed else set())


# The process


def environment(settings: Settings, folder: Path) -> dict[str, str]:
    return child_environment(
        {
            "PORTAL_DATA_DIR": str(settings.data_dir),
            "PORTAL_DATABASE_URL": settings.database_url,
            "PORTAL_REDIS_URL": f"unix://{folder / 'redis.sock'}",
        }
    )


@contextmanager
def process(settings: Settings, folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        one = subprocess.Popen(
            [sys.executable, "-m", "jobs.worker"], env=environment(settings, folder), stderr=output
        )
    try:
        yield one
    finally:
        servers.stop(one)


@pytest.fixture
def folder() -> Iterator[Path]:
    with servers.short_folder("worker") as one:
        yield one


def scan_after(folder: Path, since: datetime | None) -> None:
    """Ask for a sweep and wait until it has been done."""
    with Redis(unix_socket_path=str(folder / "redis.sock")) as connection:
        queue(QueueName.CLOCK, connection).enqueue(JobName.SWEEP.value)
    wait_until(lambda: (heartbeats.last_beat(SCAN) or since) != since)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_process_outlives_an_outage_and_ends_when_told(
    core_app: Flask, session: object, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with process(settings, folder, log) as one:
        with servers.redis_server(folder):
            scan_after(folder, None)
            first = heartbeats.last_beat(SCAN)
        time.sleep(1)
        assert one.poll() is None
        with servers.redis_server(folder):
            scan_after(folder, first)
            one.terminate()
            assert one.wait(15) == 0
    assert '"job_id"' in log.read_text()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_it_ends_when_told_while_redis_is_away(
    core_app: Flask, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with process(settings, folder, log) as one:
        with servers.redis_server(folder):
            wait_until(lambda: registered(folder))
        wait_until(
            lambda: "could not connect" in log.read_text() or "worker_without_redis" in log.read_text()
        )
        one.terminate()
        assert one.wait(15) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_it_refuses_to_start_on_an_evicting_redis(
    core_app: Flask, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with servers.redis_server(folder):
        with Redis(unix_socket_path=str(folder / "redis.sock")) as connection:
            connection.config_set("maxmemory-policy", "volatile-lru")
        with process(settings, folder, log) as one:
            assert one.wait(20) == 1
    assert "noeviction" in log.read_text()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_after_many_jobs_the_process_starts_afresh_under_the_same_id(
    core_app: Flask, session: object, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    starter = (
        "import sys; import jobs.worker as w; w.JOBS_PER_LIFE = 2; sys.executable = sys.executable; w.main()"
    )
    with servers.redis_server(folder), (tmp_path / "log").open("wb") as output:
        one = subprocess.Popen(
            [sys.executable, "-c", starter], env=environment(settings, folder), stderr=output
        )
        try:
            with Redis(unix_socket_path=str(folder / "redis.sock")) as connection:
                for _ in range(2):
                    queue(QueueName.CLOCK, connection).enqueue(JobName.TICK.value)
            wait_until(lambda: (tmp_path / "log").read_text().count("worker_started") == 2)
            assert one.poll() is None
            since = heartbeats.last_beat(SCAN)
            scan_after(folder, since)
        finally:
            servers.stop(one)


def registered(folder: Path) -> bool:
    with Redis(unix_socket_path=str(folder / "redis.sock")) as connection:
        return bool(Worker.count(connection))

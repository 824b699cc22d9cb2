"""A worker process: takes jobs from the queues in order and runs them one at a time.

RQ's SimpleWorker: jobs here are short steps that never sleep, and forking for each costs three times the work
(bench/). A job that dies with its process is found by the lease of its row, as any other dead worker's is.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime
from typing import Any

import structlog
from flask import Flask
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq.exceptions import DeserializationError, StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker
from sqlalchemy.exc import SQLAlchemyError

from jobs.schedule import note_damage, reconcile
from jobs.time_limit import TimeLimit
from portal import logs
from portal.app import create_core
from portal.clock import utc_now
from portal.doorbell import AllowedJob, EvictingRedisError, own_connection, queue, refuse_eviction
from portal.queue import JobName, QueueName
from portal.services import heartbeats, scanning, starting
from portal.settings import Settings, from_env

log = structlog.get_logger(__name__)

#: RQ's own clean-up: with its defaults an idle worker would find a killed one's job after 13 minutes.
WORKER_TTL = 30
MAINTENANCE_EVERY = 20
#: How often a worker looks after the schedule (seconds).
CARE_EVERY = 60.0
#: How often a worker says in the database that it lives (seconds).
BEAT_EVERY = 10.0
#: After this many jobs the process starts afresh, whatever may have leaked.
JOBS_PER_LIFE = 10_000
#: Pauses while Redis is away (seconds); the first again once a connection has held LONG_ENOUGH.
OUTAGE_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
LONG_ENOUGH = 30.0


class StepWorker(SimpleWorker):
    """Each job gets an app context, and so a database session, of its own."""

    max_connection_wait_time = 5.0
    death_penalty_class = TimeLimit

    def __init__(self, app: Flask, connection: Redis) -> None:
        super().__init__(
            [queue(name, connection) for name in QueueName],
            connection=connection,
            job_class=AllowedJob,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            maintenance_interval=MAINTENANCE_EVERY,
            log_job_description=False,
        )
        self.log_result_lifespan = False
        self.was_told_to_end = False
        self.jobs_done = 0
        self._app = app
        self._care_at = 0.0
        self._beat_at = 0.0

    def request_stop(self, signum: Any, frame: Any) -> None:
        self.was_told_to_end = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ's, in Redis; and now and then one in the database, for whoever watches without Redis."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None and time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + BEAT_EVERY
            beat(self._app, heartbeats.worker_name(), heartbeats.REDIS)

    def execute_job(self, job: Job, queue: Queue) -> None:
        super().execute_job(job, queue)
        self.jobs_done += 1

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        started = time.monotonic()
        with self._app.app_context(), structlog.contextvars.bound_contextvars(job_id=job.id):
            is_done = super().perform_job(job, queue, execution)
            name, seconds = _name(job), round(time.monotonic() - started, 3)
            if not is_done or name != JobName.TICK:
                log.info("job_done" if is_done else "job_failed", job=name, seconds=seconds)
        return is_done

    def run_maintenance_tasks(self) -> None:
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        if time.monotonic() < self._care_at:
            return
        is_first, self._care_at = not self._care_at, time.monotonic() + CARE_EVERY
        with self._app.app_context():
            mended = care(self.connection, self._app.extensions["settings"], utc_now())
            if not is_first:
                note_damage(mended, utc_now())


def _name(job: Job) -> str:
    """A job's name for the log; whoever wrote it into Redis may have written anything."""
    try:
        return JobName(str(job.func_name)).value
    except (ValueError, DeserializationError):
        return "foreign"


def beat(app: Flask, *names: str) -> None:
    """Signs of life in the database; without it there is nobody to read them."""
    with app.app_context():
        try:
            for name in names:
                heartbeats.beat(name, utc_now())
        except SQLAlchemyError as error:
            log.warning("worker_without_database", error=type(error).__name__)


def care(connection: Redis, settings: Settings, now: datetime) -> list[str]:
    """Mend the schedule, and return what of it had to be; where the scheduler has fallen silent, sweep in its place."""
    mended = reconcile(connection, settings)
    try:
        if heartbeats.is_silent(heartbeats.SCHEDULER, now, settings.scheduler_silent_after):
            log.warning("scheduler_silent")
            scanning.sweep(now)
    except SQLAlchemyError as error:
        log.warning("worker_without_database", error=type(error).__name__)
    return mended


def work(app: Flask, connection: Redis) -> bool:
    """Work through any outage of Redis. False when told to end, True when the process should start afresh.

    Raises EvictingRedisError.
    """
    failures = 0
    while True:
        started, worker = time.monotonic(), None
        try:
            refuse_eviction(connection)
            worker = StepWorker(app, connection)
            worker.work(logging_level="WARNING", max_jobs=JOBS_PER_LIFE)
        except StopRequested:
            return False
        except RedisError as error:
            log.warning("worker_without_redis", error=type(error).__name__)
            beat(app, heartbeats.worker_name())
        if worker is not None and (worker.was_told_to_end or worker.jobs_done >= JOBS_PER_LIFE):
            return not worker.was_told_to_end
        failures = 0 if time.monotonic() - started > LONG_ENOUGH else failures + 1
        time.sleep(OUTAGE_PAUSES[min(failures, len(OUTAGE_PAUSES) - 1)])


def leave(app: Flask) -> None:
    """Take our sign of life away: who ends in order is not missed."""
    with app.app_context():
        try:
            heartbeats.leave(heartbeats.worker_name())
        except SQLAlchemyError as error:
            log.warning("worker_without_database", error=type(error).__name__)


def main() -> None:
    """Run until SIGTERM or SIGINT; the second within a job ends it at once."""
    # RQ has its own handlers once it works; whoever is told to end before that just ends.
    signal.signal(signal.SIGTERM, lambda _signum, _frame: sys.exit(0))
    settings = from_env()
    logs.configure(settings.log_json)
    logs.capture_standard_library(settings.log_json)
    app = create_core(settings)
    with app.app_context():
        starting.refuse_wrong_keys("jobs.worker")
    log.info("worker_started")
    try:
        is_over = not work(app, own_connection(settings))
    except EvictingRedisError as error:
        raise SystemExit(f"jobs.worker: {error}") from None
    log.info("worker_stopped", afresh=not is_over)
    if is_over:
        leave(app)
    else:
        # The same process, so that whoever supervises it sees no end.
        os.execv(sys.executable, [sys.executable, "-m", "jobs.worker"])  # noqa: S606


if __name__ == "__main__":
    main()

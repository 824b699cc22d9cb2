"""What Redis knows of the work: queues, workers, the schedule, failed jobs. The truth is in the database."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq.exceptions import DeserializationError, InvalidJobOperation, NoSuchJobError
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker
from rq_scheduler import Scheduler

from portal.doorbell import AllowedJob, queue, redis_connection
from portal.queue import JobName, QueueName
from portal.services.redaction import last_line, redact

#: Failed jobs that are shown; the rest are counted.
SHOWN = 10
SCHEDULE_SHOWN = 50

#: A worker that has not been heard for longer than this is shown as silent (RQ beats every 30 s here, see jobs.worker).
SILENT_AFTER = timedelta(seconds=75)

#: What reading a damaged or foreign job raises.
UNREADABLE = (
    NoSuchJobError,
    DeserializationError,
    InvalidJobOperation,
    ResponseError,
    zlib.error,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)


@dataclass(frozen=True)
class JobView:
    """A job and the rows that it is for. `job` is None where it is none of ours; `traceback` is redacted."""

    id: str
    job: JobName | None
    ids: tuple[str, ...]
    queue: str = ""
    ended_at: datetime | None = None
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class QueueView:
    name: QueueName
    depth: int
    oldest_at: datetime | None


@dataclass(frozen=True)
class WorkerView:
    """A worker process. It is silent where its heartbeat is too old."""

    name: str
    state: str
    heard_at: datetime | None
    is_silent: bool
    job: JobView | None
    done: int


@dataclass(frozen=True)
class ScheduleView:
    job: JobName | None
    id: str
    next_at: datetime


@dataclass(frozen=True)
class Board:
    queues: Sequence[QueueView]
    workers: Sequence[WorkerView]
    schedule: Sequence[ScheduleView]
    failed: Sequence[JobView]
    failed_count: int


def read(now: datetime) -> Board | None:
    """Everything at once; None while Redis is away."""
    connection = redis_connection()
    try:
        failures = failed_ids(connection)
        return Board(
            queues=[_queue(name, connection) for name in QueueName],
            workers=sorted(_workers(connection, now), key=lambda one: one.name),
            schedule=_schedule(connection),
            failed=[failed_view(name, job_id, connection) for name, job_id in failures[:SHOWN]],
            failed_count=len(failures),
        )
    except RedisError:
        return None


def failed_registry(name: QueueName, connection: Redis) -> FailedJobRegistry:
    return FailedJobRegistry(
        name.value, connection=connection, job_class=AllowedJob, serializer=JSONSerializer
    )


def failed_ids(connection: Redis) -> list[tuple[QueueName, str]]:
    """Every failed job, the one that failed last first (the score is when it will be forgotten)."""
    found = [
        (score, name, job_id)
        for name in QueueName
        for job_id, score in _scored(connection, failed_registry(name, connection).key)
    ]
    return [(name, job_id) for _, name, job_id in sorted(found, key=lambda one: one[0], reverse=True)]


def _scored(connection: Redis, key: str, last: int = -1) -> list[tuple[str, float]]:
    """Members of a sorted set with their scores, the lowest first."""
    entries: list[Any] = list(connection.zrange(key, 0, last, withscores=True))
    return [(raw.decode("utf-8", "replace"), float(score)) for raw, score in entries]


def failed_view(name: QueueName, job_id: str, connection: Redis) -> JobView:
    job = _fetch(job_id, connection)
    if job is None:
        return JobView(job_id, None, (), queue=name.value)
    try:
        result = job.latest_result()
        text = str(result.exc_string or "") if result is not None else ""
    except UNREADABLE:
        text = ""
    return _view(job, name.value, last_line(text), redact(text))


def _view(job: AllowedJob, queue_name: str = "", error: str = "", traceback: str = "") -> JobView:
    try:
        known, ids = JobName(str(job.func_name)), tuple(str(one) for one in job.args)
    except UNREADABLE:
        known, ids = None, ()
    ended_at = _aware(job.ended_at)
    return JobView(job.id, known, ids, queue_name or str(job.origin), ended_at, error, traceback)


def _fetch(job_id: str, connection: Redis) -> AllowedJob | None:
    try:
        job = AllowedJob.fetch(job_id, connection=connection)
    except UNREADABLE:
        return None
    return job if isinstance(job, AllowedJob) else None


def _queue(name: QueueName, connection: Redis) -> QueueView:
    waiting = queue(name, connection)
    first = waiting.get_job_ids(0, 1)
    job = _fetch(first[0], connection) if first else None
    return QueueView(name, waiting.count, _aware(job.enqueued_at) if job else None)


def _workers(connection: Redis, now: datetime) -> list[WorkerView]:
    found = BaseWorker.all(connection=connection, job_class=AllowedJob, serializer=JSONSerializer)
    return [_worker(one, connection, now) for one in found]


def _worker(worker: BaseWorker, connection: Redis, now: datetime) -> WorkerView:
    job_id = worker.get_current_job_id()
    job = _fetch(job_id, connection) if job_id else None
    heard_at = _aware(worker.last_heartbeat)
    return WorkerView(
        name=worker.name[:12],
        state=str(worker.get_state()),
        heard_at=heard_at,
        is_silent=heard_at is None or now - heard_at > SILENT_AFTER,
        job=_view(job) if job else None,
        done=worker.successful_job_count,
    )


def _schedule(connection: Redis) -> list[ScheduleView]:
    views = []
    for entry_id, score in _scored(connection, Scheduler.scheduled_jobs_key, SCHEDULE_SHOWN - 1):
        job = _fetch(entry_id, connection)
        name = _view(job).job if job else None
        views.append(ScheduleView(name, entry_id[:40], datetime.fromtimestamp(score, UTC)))
    return views


def _aware(moment: datetime | None) -> datetime | None:
    """RQ's moments are UTC, and some of them do not say so."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment

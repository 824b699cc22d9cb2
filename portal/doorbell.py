"""The doorbell: the queues in Redis, and which jobs workers take from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from flask import current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from portal.queue import QUEUE_OF, JobName, QueueName
from portal.settings import Settings

log = structlog.get_logger(__name__)

#: Ids per job: a due tick costs a tenth of one job per certificate with 50 (see bench/).
BATCH = 50
JOB_TIMEOUT = 180
RESULT_TTL = 60
FAILURE_TTL = 30 * 24 * 3600


class ForbiddenJobError(Exception):
    """A job in Redis names something that is not a job of ours."""


class AllowedJob(Job):
    """A job whose function must be in JobName, without callbacks, always JSON.

    Whoever can write to Redis could otherwise have a worker call anything that can be imported.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = JSONSerializer
        super().__init__(*args, **kwargs)

    @property
    def func(self) -> Callable[..., Any] | None:
        if self.func_name not in set(JobName) or self.instance:
            raise ForbiddenJobError(f"not a job of this portal: {self.func_name!r}"[:200])
        function: Callable[..., Any] | None = super().func
        return function

    @property
    def success_callback(self) -> None:
        return self._no_callback(self._success_callback_name)

    @property
    def failure_callback(self) -> None:
        return self._no_callback(self._failure_callback_name)

    @property
    def stopped_callback(self) -> None:
        return self._no_callback(self._stopped_callback_name)

    def _no_callback(self, name: str | None) -> None:
        if name:
            raise ForbiddenJobError("callbacks are not allowed")


class EvictingRedisError(Exception):
    """This Redis may throw jobs away when it is full."""


def refuse_eviction(connection: Redis) -> None:
    """Raise EvictingRedisError unless this Redis keeps everything that it accepted."""
    memory: Any = connection.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise EvictingRedisError(
            f"this Redis evicts keys when it is full (maxmemory-policy {policy}); set it to noeviction"
        )


def own_connection(settings: Settings) -> Redis:
    """A connection of one's own: the app's, or that of a process that blocks on it and changes its time-outs.

    One more try and no pause: whoever rings goes on without Redis, and processes have their own patience.
    """
    once_more = Retry(NoBackoff(), 1)
    connection: Redis = Redis.from_url(
        settings.redis_url, socket_connect_timeout=2, socket_timeout=15, retry=once_more
    )
    return connection


def redis_connection() -> Redis:
    """This app's connection (made once per process; connects when first used)."""
    connection: Redis = current_app.extensions["redis"]
    return connection


def queue(name: QueueName, connection: Redis | None = None) -> Queue:
    """The queue of that name, with our serializer and job class."""
    return Queue(
        name.value,
        connection=connection if connection is not None else redis_connection(),
        serializer=JSONSerializer,
        job_class=AllowedJob,
        default_timeout=JOB_TIMEOUT,
    )


#: Keys take up to a second each: a worker that makes some is not away for long.
BATCH_OF = {JobName.MAKE_KEYS: 5}


def ring(job: JobName, ids: Sequence[str]) -> bool:
    """Enqueue `job` for the ids, BATCH at a time. False if Redis is away: the next sweep rings again."""
    try:
        target, batch = queue(QUEUE_OF[job]), BATCH_OF.get(job, BATCH)
        for start in range(0, len(ids), batch):
            target.enqueue(
                job.value, *ids[start : start + batch], result_ttl=RESULT_TTL, failure_ttl=FAILURE_TTL
            )
    except RedisError as error:
        log.warning("doorbell_silent", job=job.value, ids=len(ids), error=type(error).__name__)
        return False
    return True

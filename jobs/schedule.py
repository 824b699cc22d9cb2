"""The schedule: one list, kept in Redis as it stands here, and the process that rings by it.

rq-scheduler does the keeping; what it would lose or trip over is handled here (see BellScheduler).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from redis import Redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from rq_scheduler import Scheduler
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.app import create_core
from portal.clock import utc_now
from portal.domain.alarms import AlarmKind
from portal.doorbell import (
    JOB_TIMEOUT,
    AllowedJob,
    EvictingRedisError,
    own_connection,
    queue,
    refuse_eviction,
)
from portal.extensions import db
from portal.queue import QUEUE_OF, JobName, QueueName
from portal.services import alarms, heartbeats, starting
from portal.settings import Settings, from_env

log = structlog.get_logger(__name__)

#: All in seconds. The look is well under the shortest interval; the last pause is the longest delay after an outage.
LOOK_EVERY = 0.5
RECONCILE_EVERY = 60.0
BEAT_EVERY = 10.0
OUTAGE_PAUSES = (0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True)
class Periodic:
    """A job that rings every `seconds`. Its id is fixed, so that it is in the schedule once."""

    id: str
    job: JobName
    seconds: Callable[[Settings], int]


PERIODIC = [
    Periodic("periodic-tick", JobName.TICK, lambda settings: settings.tick_seconds),
    Periodic("periodic-sweep", JobName.SWEEP, lambda settings: settings.sweep_seconds),
    Periodic("periodic-housekeeping", JobName.HOUSEKEEPING, lambda _settings: 3600),
]


class BellScheduler(Scheduler):  # type: ignore[misc]
    """rq-scheduler for PERIODIC alone. Unlike the original:

    an entry is moved to its next time before it rings, in one command, so that dying in between loses one ring and
    never the entry; a damaged or foreign entry is removed instead of stopping all behind it; a job that is still
    waiting in its queue is not put there twice; times are epoch seconds, whatever the time zone.
    """

    def __init__(self, connection: Redis) -> None:
        super().__init__(connection=connection, interval=LOOK_EVERY, job_class=AllowedJob)

    def entry_ids(self, until: float | str = "+inf") -> list[str]:
        """Ids in the schedule, those due by `until` (epoch seconds) if given."""
        ids = self.connection.zrangebyscore(self.scheduled_jobs_key, "-inf", until)
        return [entry_id.decode("utf-8", "replace") for entry_id in ids]

    def entry(self, entry_id: str) -> AllowedJob | None:
        """The job of an entry; None if it cannot be read."""
        try:
            job: AllowedJob = self.job_class.fetch(entry_id, connection=self.connection)
            return job if job.func_name and isinstance(job.meta, dict) else None
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            # Foreign bytes can fail to be read in any way at all (an AssertionError is among those seen).
            log.warning("schedule_entry_unreadable", entry=entry_id[:80], error=type(error).__name__)
            return None

    def add(self, wanted: Periodic, seconds: int) -> None:
        """Put an entry into the schedule, due at once."""
        self.connection.delete(self.job_class.key_for(wanted.id))
        self.schedule(
            utc_now(),
            wanted.job.value,
            interval=seconds,
            id=wanted.id,
            queue_name=QUEUE_OF[wanted.job].value,
            timeout=JOB_TIMEOUT,
        )

    def enqueue_jobs(self) -> int:
        """Ring everything that is due; returns how much that was."""
        due = self.entry_ids(time.time())
        known = {one.id: one for one in PERIODIC}
        for entry_id in due:
            job = self.entry(entry_id) if entry_id in known else None
            if job is None:
                log.error("schedule_entry_removed", entry=entry_id[:80])
                self.connection.zrem(self.scheduled_jobs_key, entry_id)
            else:
                self.enqueue_job(job)
        return len(due)

    def enqueue_job(self, job: AllowedJob) -> None:
        """Move one entry on, then ring."""
        seconds = int(job.meta["interval"])
        due_at = self.connection.zscore(self.scheduled_jobs_key, job.id) or time.time()
        next_at = max(due_at + seconds, time.time())
        self.connection.zadd(self.scheduled_jobs_key, {job.id: next_at}, xx=True)
        target = queue(QueueName(job.origin), self.connection)
        if target.get_job_position(job.id) is None:
            target.enqueue_job(job)


def reconcile(connection: Redis, settings: Settings) -> list[str]:
    """Make the schedule what PERIODIC says; returns the ids that had to be touched. Safe from several processes."""
    scheduler = BellScheduler(connection)
    known = {one.id for one in PERIODIC}
    touched = [entry_id for entry_id in scheduler.entry_ids() if entry_id not in known]
    for entry_id in touched:
        connection.zrem(scheduler.scheduled_jobs_key, entry_id)
    for wanted in PERIODIC:
        seconds = wanted.seconds(settings)
        if not _is_right(scheduler, wanted, seconds):
            scheduler.add(wanted, seconds)
            touched.append(wanted.id)
    if touched:
        log.info("schedule_reconciled", entries=[entry_id[:80] for entry_id in touched])
    return touched


def _is_right(scheduler: BellScheduler, wanted: Periodic, seconds: int) -> bool:
    """Whether the entry is there, with the right job and interval, and not due absurdly late (a clock was wrong)."""
    due_at = scheduler.connection.zscore(scheduler.scheduled_jobs_key, wanted.id)
    if due_at is None or due_at > time.time() + 2 * seconds:
        return False
    job = scheduler.entry(wanted.id)
    if job is None:
        return False
    there = (job.func_name, job.origin, job.meta.get("interval"))
    return there == (wanted.job.value, QUEUE_OF[wanted.job].value, seconds)


def note_damage(mended: list[str], now: datetime) -> None:
    """An alarm where a schedule that was there had to be mended: somebody else writes to this Redis, or lost from it.

    One that was lost as a whole was lost with its Redis, and is filled anew.
    """
    if not mended or {one.id for one in PERIODIC} <= set(mended):
        return
    try:
        alarms.raise_at_once(AlarmKind.SCHEDULE_DAMAGED, now, {"name": ", ".join(mended)[:200]})
    except SQLAlchemyError as error:
        db.session.rollback()
        log.warning("schedule_damage_not_told", error=type(error).__name__)


class Bell:
    """The scheduler's process: rings, reconciles and beats, and outlives any outage of Redis or the database."""

    def __init__(self, connection: Redis, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._scheduler = BellScheduler(connection)
        self._reconcile_at = 0.0
        self._beat_at = 0.0
        self._failures = 0
        self._is_policy_known = False

    def run(self, pause: Callable[[float], bool]) -> None:
        """Turn again and again; `pause` waits that many seconds and says whether to end."""
        while not pause(self.turn()):
            pass

    def turn(self) -> float:
        """Do what is due now; returns how many seconds to wait. Raises EvictingRedisError."""
        try:
            self._check_policy()
            self._ring()
        except RedisError as error:
            pause = OUTAGE_PAUSES[min(self._failures, len(OUTAGE_PAUSES) - 1)]
            log.warning("scheduler_without_redis", error=type(error).__name__, pause=pause)
            self._failures += 1
            self._reconcile_at = 0.0
            self._is_policy_known = False
            self._beat(heartbeats.SCHEDULER)
            return pause
        self._failures = 0
        self._beat(heartbeats.SCHEDULER, heartbeats.REDIS)
        return LOOK_EVERY

    def _check_policy(self) -> None:
        """Once for each time that Redis is there anew: it may be another one."""
        if not self._is_policy_known:
            refuse_eviction(self._connection)
            self._is_policy_known = True

    def _ring(self) -> None:
        entries = self._connection.zcard(self._scheduler.scheduled_jobs_key)
        if time.monotonic() >= self._reconcile_at or entries != len(PERIODIC):
            mended = reconcile(self._connection, self._settings)
            if self._reconcile_at:
                note_damage(mended, utc_now())
            self._reconcile_at = time.monotonic() + RECONCILE_EVERY
        if not self._scheduler.acquire_lock():
            return
        try:
            self._scheduler.enqueue_jobs()
        finally:
            self._scheduler.remove_lock()

    def _beat(self, *names: str) -> None:
        if time.monotonic() < self._beat_at:
            return
        try:
            for name in names:
                heartbeats.beat(name, utc_now())
        except SQLAlchemyError as error:
            log.warning("scheduler_without_database", error=type(error).__name__)
        finally:
            db.session.remove()
        self._beat_at = time.monotonic() + BEAT_EVERY


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = from_env()
    logs.configure(settings.log_json)
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with create_core(settings).app_context():
        starting.refuse_wrong_keys("jobs.schedule")
        log.info("scheduler_started")
        try:
            Bell(own_connection(settings), settings).run(
                lambda seconds: signal.sigtimedwait(ends, seconds) is not None
            )
        except EvictingRedisError as error:
            raise SystemExit(f"jobs.schedule: {error}") from None
    log.info("scheduler_stopped")


if __name__ == "__main__":
    main()

"""What operators do to failed jobs: look, put back, forget. Every act leaves an audit row."""

from __future__ import annotations

from datetime import datetime

from redis.exceptions import RedisError

from portal.domain.errors import DomainError
from portal.doorbell import AllowedJob, redis_connection
from portal.extensions import db
from portal.queue import QueueName
from portal.services.acting import Actor
from portal.services.auditing import audit
from portal.services.job_board import UNREADABLE, JobView, failed_ids, failed_registry, failed_view


def get_failed(job_id: str) -> JobView:
    """One failed job with its traceback. Raises DomainError: not_found, redis_away."""
    try:
        connection = redis_connection()
        for name, known in failed_ids(connection):
            if known == job_id:
                return failed_view(name, job_id, connection)
    except RedisError:
        raise DomainError("redis_away") from None
    raise DomainError("not_found")


def retry(job_id: str, actor: Actor, now: datetime) -> None:
    """Put a failed job back into its queue. Raises DomainError: not_found, job_foreign, redis_away."""
    view = get_failed(job_id)
    if view.job is None:
        raise DomainError("job_foreign")
    _note("job.retry", view, actor, now)
    _requeue(view)
    db.session.commit()


def retry_all(actor: Actor, now: datetime) -> int:
    """Put every failed job that is ours back; returns how many. Raises DomainError("redis_away")."""
    try:
        connection = redis_connection()
        views = [failed_view(name, job_id, connection) for name, job_id in failed_ids(connection)]
    except RedisError:
        raise DomainError("redis_away") from None
    ours = [view for view in views if view.job is not None]
    for view in ours:
        _note("job.retry", view, actor, now)
        _requeue(view)
    db.session.commit()
    return len(ours)


def remove(job_id: str, actor: Actor, now: datetime) -> None:
    """Forget a failed job; its rows stay due in the database. Raises DomainError: not_found, redis_away."""
    view = get_failed(job_id)
    _note("job.remove", view, actor, now)
    try:
        connection = redis_connection()
        failed_registry(QueueName(view.queue), connection).remove(job_id)
        connection.delete(AllowedJob.key_for(job_id))
    except RedisError:
        raise DomainError("redis_away") from None
    db.session.commit()


def _requeue(view: JobView) -> None:
    try:
        failed_registry(QueueName(view.queue), redis_connection()).requeue(view.id)
    except RedisError:
        raise DomainError("redis_away") from None
    except UNREADABLE:
        raise DomainError("not_found") from None


def _note(action: str, view: JobView, actor: Actor, now: datetime) -> None:
    params = {"job": view.job.value if view.job else "foreign", "ids": list(view.ids)}
    subject = ("jobs", view.id.replace("-", "")[:32])
    audit(db.session, action, subject, actor.id, now, params=params, ip=actor.ip_address)

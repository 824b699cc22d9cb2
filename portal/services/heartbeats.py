"""Signs of life of processes, kept in the database so that an alarm needs neither Redis nor a worker."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from portal.domain.watching import FUTURE
from portal.extensions import db
from portal.models.history import Heartbeat

SCHEDULER = "scheduler"
WATCHDOG = "watchdog"
#: Left by the scheduler and by workers whenever Redis has answered them.
REDIS = "redis"
#: Left by every finished scan.
SCAN = "scan"
#: What the names of workers begin with.
WORKERS = "worker:"

#: How long signs of workers that are gone are kept.
FORGOTTEN_AFTER = timedelta(days=1)


def worker_name() -> str:
    """The name under which this worker process beats."""
    return f"{WORKERS}{socket.gethostname()}:{os.getpid()}"[:128]


def beat(name: str, now: datetime) -> None:
    """Say that `name` lives."""
    if _move(name, now):
        return
    db.session.add(Heartbeat(name=name, at=now))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        _move(name, now)


def _move(name: str, now: datetime) -> bool:
    result = db.session.execute(update(Heartbeat).where(Heartbeat.name == name).values(at=now))
    db.session.commit()
    return bool(result.rowcount)  # type: ignore[attr-defined]


def last_beat(name: str) -> datetime | None:
    """When `name` last said that it lives; None if it never did."""
    return db.session.scalar(select(Heartbeat.at).where(Heartbeat.name == name))


def last_of_workers(now: datetime) -> datetime | None:
    """When any worker last said that it lives; None if none ever did. Signs from the future do not count."""
    heard = select(func.max(Heartbeat.at)).where(Heartbeat.name.startswith(WORKERS))
    return db.session.scalar(heard.where(Heartbeat.at <= now + FUTURE))


def forget_workers(now: datetime) -> None:
    """Throw away what workers left that are long gone, within the caller's transaction."""
    gone = (Heartbeat.name.startswith(WORKERS), Heartbeat.at < now - FORGOTTEN_AFTER)
    db.session.execute(delete(Heartbeat).where(*gone).execution_options(synchronize_session=False))


def leave(name: str) -> None:
    """`name` ends in order: it is not missed."""
    db.session.execute(delete(Heartbeat).where(Heartbeat.name == name))
    db.session.commit()


def is_silent(name: str, now: datetime, after_seconds: float) -> bool:
    """Whether `name` has not been heard for longer than that, or never."""
    last = last_beat(name)
    if last is None or last > now + FUTURE:
        return True
    return now - last > timedelta(seconds=after_seconds)

"""Signs of life of processes, kept in the database so that an alarm needs neither Redis nor a worker."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.models.history import Heartbeat

SCHEDULER = "scheduler"


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


def is_silent(name: str, now: datetime, after_seconds: float) -> bool:
    """Whether `name` has not been heard for longer than that, or never."""
    last = last_beat(name)
    return last is None or now - last > timedelta(seconds=after_seconds)

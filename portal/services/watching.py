"""Reading the traces that processes leave, and turning what is wrong into alarms. Needs neither Redis nor RQ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

import portal.models  # noqa: F401  every kind of operation is known once all models are
from portal.adapters.errors import AdapterError
from portal.domain.alarms import SEVERITY, AlarmKind
from portal.domain.notices import NoticeState
from portal.domain.watching import DAMAGE_STANDS, JUDGED, Limits, Traces, Trouble, judge
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.history import Heartbeat
from portal.models.notice import Notice
from portal.models.operation import Operation
from portal.services import alarms, clocks, heartbeats, storage
from portal.settings import Settings

#: Alarms this bad (see SEVERITY) keep the watchdog from telling the outside that all is well.
GRAVE = 1


def limits(settings: Settings) -> Limits:
    """How long each part of an installation may be silent, or late."""
    scheduler = settings.scheduler_silent_after
    return Limits(
        scan=timedelta(seconds=max(scheduler, 2.0 * settings.sweep_seconds)),
        scheduler=timedelta(seconds=scheduler),
        workers=timedelta(seconds=settings.worker_silent_after),
        redis=timedelta(seconds=scheduler),
        work=timedelta(seconds=settings.overdue_after),
        notices=timedelta(seconds=3 * settings.overdue_after),
    )


def silence_limits(settings: Settings) -> dict[str, timedelta]:
    """By the name of a heartbeat: how long it may be missing."""
    known = limits(settings)
    watchdog = timedelta(seconds=2 * settings.watch_seconds + settings.step_timeout)
    return {
        heartbeats.SCAN: known.scan,
        heartbeats.SCHEDULER: known.scheduler,
        heartbeats.WATCHDOG: watchdog,
    }


def examine(settings: Settings, now: datetime, watched_since: datetime) -> list[Trouble]:
    """What is wrong with the installation as a whole; changes nothing."""
    return judge(read(now), limits(settings), now, watched_since)


def watch(settings: Settings, now: datetime, watched_since: datetime) -> bool:
    """One round: raise what is wrong, clear what is over, climb the ladders of late renewals; whether all is well.

    Commits. Leaves the watchdog's own trace, so that others see when it is gone. While the database's clock and ours
    disagree, that is the only alarm that is raised: nobody knows how long anything has lasted.
    """
    heartbeats.beat(heartbeats.WATCHDOG, now)
    if clocks.database_disagrees(now):
        return False
    heartbeats.forget_workers(now)
    _raise_and_clear(examine(settings, now, watched_since), now)
    db.session.commit()
    clocks.recover(now)
    _look_at_room(now)
    while alarms.climb_ladders(now) == alarms.LADDERS:
        continue
    return not has_grave_alarms()


def has_grave_alarms() -> bool:
    """Whether an alarm is open that means that certificates are, or will be, in danger."""
    grave = [kind for kind, severity in SEVERITY.items() if severity <= GRAVE]
    query = select(Alarm.id).where(Alarm.cleared_at.is_(None), Alarm.kind.in_(grave)).limit(1)
    return db.session.scalar(query) is not None


def read(now: datetime) -> Traces:
    """What the database says of the processes and of the work that is due."""
    heard: dict[str, datetime] = dict(db.session.execute(select(Heartbeat.name, Heartbeat.at)).all())
    mail = select(func.min(Notice.created_at)).where(
        Notice.state == NoticeState.PENDING, Notice.next_attempt_at.is_not(None)
    )
    return Traces(
        scan=heard.get(heartbeats.SCAN),
        scheduler=heard.get(heartbeats.SCHEDULER),
        workers=heartbeats.last_of_workers(now),
        redis=heard.get(heartbeats.REDIS),
        overdue=dict(_overdue(now)),
        oldest_mail=db.session.scalar(mail),
    )


def _overdue(now: datetime) -> Iterator[tuple[str, datetime]]:
    """By table: since when the work that has been due longest waits. One look at each due index."""
    for model in _operations():
        due = model.next_attempt_at
        since = db.session.scalar(select(due).where(due <= now).order_by(due, model.id).limit(1))
        if since is not None:
            yield model.__tablename__, since


def _operations() -> list[Any]:
    """Every table of work there is, whatever its kind does."""
    return sorted(Operation.__subclasses__(), key=lambda model: str(model.__tablename__))


def _raise_and_clear(troubles: Iterable[Trouble], now: datetime) -> None:
    """Within the caller's transaction."""
    standing = {one.kind: one for one in troubles}
    for kind in JUDGED:
        if (one := standing.get(kind)) is not None:
            alarms.raise_alarm(kind, now, rung=one.rung, params=one.params)
        else:
            alarms.clear_alarm(kind, now)
    over = update(Alarm).where(
        Alarm.kind == AlarmKind.SCHEDULE_DAMAGED,
        Alarm.cleared_at.is_(None),
        Alarm.rung_at < now - DAMAGE_STANDS,
    )
    db.session.execute(over.values(cleared_at=now).execution_options(synchronize_session=False))


def _look_at_room(now: datetime) -> None:
    """Raises and clears an alarm of its own."""
    try:
        storage.check_room(now)
    except AdapterError as error:
        if error.code != "storage_full":
            raise

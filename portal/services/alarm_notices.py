"""The mails about alarms: whether one is still worth sending, and that one was sent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from portal.domain.notices import NoticeKind
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.notice import Notice


def is_over(notice: Notice) -> bool:
    """Whether every alarm that this mail is about has been cleared before it could be sent."""
    if notice.kind is not NoticeKind.ALARM:
        return False
    still_open = select(Alarm.id).where(Alarm.id.in_(_ids(notice)), Alarm.cleared_at.is_(None))
    return db.session.scalar(still_open.limit(1)) is None


def note_told(notice: Notice, now: datetime) -> None:
    """A mail about alarms has been sent; within the caller's transaction. Nothing for other mails."""
    if notice.kind is not NoticeKind.ALARM:
        return
    told = update(Alarm).where(
        Alarm.id.in_(_ids(notice)), Alarm.told_at.is_(None), Alarm.rung_at <= notice.created_at
    )
    db.session.execute(told.values(told_at=now).execution_options(synchronize_session=False))


def _ids(notice: Notice) -> list[str]:
    return list(notice.params["rungs"])

"""Reading the lists that are due, and looking at what came of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from portal.domain.alarms import AlarmKind
from portal.domain.notices import NoticeKind
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.authority import CrlSource
from portal.models.certificate import Certificate
from portal.models.notice import Notice
from portal.services.crl_reading import KIND
from portal.services.driving import drive


def read(now: datetime) -> CrlSource:
    """Read every list that is due."""
    for source in db.session.scalars(select(CrlSource)).all():
        drive(KIND, source.id, lambda: now)
    db.session.expire_all()
    return db.session.scalars(select(CrlSource)).one()


def serial(certificate: Certificate) -> int:
    return int(certificate.serial, 16)


def revoked_at(certificate: Certificate) -> datetime | None:
    db.session.expire_all()
    return db.session.get_one(Certificate, certificate.id).revoked_at


def told() -> list[NoticeKind]:
    kinds = db.session.scalars(select(Notice.kind).where(Notice.organisation_id.is_not(None)))
    return list(kinds)


def open_alarms() -> list[AlarmKind]:
    return list(db.session.scalars(select(Alarm.kind).where(Alarm.cleared_at.is_(None))))

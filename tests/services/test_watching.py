"""The traces of processes become alarms, and these are over when the traces say so."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.alarms import AlarmKind
from portal.domain.due import alarm_at
from portal.domain.notices import NoticeKind
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.history import Heartbeat
from portal.models.operation import Operation
from portal.services import alarms, heartbeats, noticing, watching
from portal.services.kinds import KINDS
from portal.settings import Settings
from tests.factories import Cast, Factory

LONG_AGO = timedelta(days=30)
PARTS = (heartbeats.SCAN, heartbeats.SCHEDULER, heartbeats.REDIS, "worker:here:1")


def everybody_lives(now: datetime) -> None:
    for name in PARTS:
        heartbeats.beat(name, now)


def open_kinds() -> set[AlarmKind]:
    db.session.expire_all()
    return set(db.session.scalars(select(Alarm.kind).where(Alarm.cleared_at.is_(None))))


def watch(settings: Settings, now: datetime) -> bool:
    return watching.watch(settings, now, now - LONG_AGO)


def test_all_is_well_where_everybody_lives(
    core_app: Flask, settings: Settings, cast: Cast, now: datetime
) -> None:
    everybody_lives(now)
    assert watch(settings, now)
    assert open_kinds() == set()
    assert heartbeats.last_beat(heartbeats.WATCHDOG) == now


def test_who_falls_silent_is_told_of_and_who_comes_back_is_not(
    core_app: Flask, settings: Settings, cast: Cast, now: datetime
) -> None:
    assert not watch(settings, now)
    assert open_kinds() == {AlarmKind.SCAN_SILENT, AlarmKind.SCHEDULER_SILENT, AlarmKind.WORKERS_SILENT}
    everybody_lives(now)
    assert watch(settings, now)
    assert open_kinds() == set()


def test_work_of_every_kind_is_watched(
    core_app: Flask, settings: Settings, cast: Cast, now: datetime
) -> None:
    watched = {model.__tablename__ for model in watching._operations()}
    assert {kind.model.__tablename__ for kind in KINDS.values()} <= watched
    assert len(watched) == len(Operation.__subclasses__())


def test_overdue_work_is_told_of(
    core_app: Flask, settings: Settings, factory: Factory, cast: Cast, now: datetime
) -> None:
    everybody_lives(now)
    factory.renewal(factory.hosting(factory.certificate(cast.organisation)), due=now - timedelta(minutes=6))
    assert not watch(settings, now)
    assert open_kinds() == {AlarmKind.WORK_OVERDUE}


def test_mail_that_does_not_go_out_is_told_of(
    core_app: Flask, settings: Settings, cast: Cast, now: datetime
) -> None:
    everybody_lives(now)
    noticing.tell_operators(
        db.session,
        NoticeKind.ORDER_PAID,
        subject_type="orders",
        subject_id="1" * 32,
        params={"number": "P1", "total_fen": 1, "currency": "CNY"},
        now=now - timedelta(minutes=16),
    )
    db.session.commit()
    assert not watch(settings, now)
    assert AlarmKind.NOTICES_STUCK in open_kinds()


def test_late_renewals_climb_their_ladder_without_a_scan(
    core_app: Flask, settings: Settings, factory: Factory, cast: Cast, now: datetime
) -> None:
    everybody_lives(now)
    certificate = factory.certificate(cast.organisation, expires_in=timedelta(days=5))
    first = alarm_at(certificate.not_before, certificate.not_after, 0)
    late = factory.renewal(factory.hosting(certificate), due=now + timedelta(days=1), alarm_at=first)
    late.created_at = now - LONG_AGO
    db.session.commit()
    assert not watch(settings, now)
    assert open_kinds() == {AlarmKind.RENEWAL_LATE}


def test_what_only_wants_a_look_today_does_not_silence_the_outside(
    core_app: Flask, settings: Settings, cast: Cast, now: datetime
) -> None:
    everybody_lives(now)
    alarms.raise_at_once(AlarmKind.MANUAL_ORDER, now)
    assert watch(settings, now)


def test_damage_to_the_schedule_stands_for_an_hour(
    core_app: Flask, settings: Settings, now: datetime
) -> None:
    everybody_lives(now)
    alarms.raise_at_once(AlarmKind.SCHEDULE_DAMAGED, now - timedelta(minutes=59))
    watch(settings, now)
    assert open_kinds() == {AlarmKind.SCHEDULE_DAMAGED}
    watch(settings, now + timedelta(minutes=2))
    assert AlarmKind.SCHEDULE_DAMAGED not in open_kinds()


@pytest.mark.parametrize(("days", "left"), [(0.5, 1), (2, 0)])
def test_workers_that_are_long_gone_are_forgotten(
    core_app: Flask, settings: Settings, cast: Cast, now: datetime, days: float, left: int
) -> None:
    heartbeats.beat("worker:gone:7", now - timedelta(days=days))
    watch(settings, now)
    assert db.session.query(Heartbeat).filter_by(name="worker:gone:7").count() == left

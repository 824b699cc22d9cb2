"""The watchdog's own mail: what nobody else sent, everything for one person at once, each alarm and rung once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.alarms import AlarmKind
from portal.domain.notices import NoticeState
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.history import HistoryEntry
from portal.models.notice import Notice
from portal.services import alarm_mail, alarms, noticing
from portal.services.driving import drive
from tests.factories import Cast, Factory
from tests.servers import MailServer

GRACE = timedelta(minutes=2)


def raise_it(kind: AlarmKind, now: datetime, rung: int = 0) -> None:
    alarms.raise_alarm(kind, now, rung=rung, params={"name": "shop.example.com"})
    db.session.commit()


def notices() -> list[Notice]:
    db.session.expire_all()
    return list(db.session.scalars(select(Notice).order_by(Notice.created_at, Notice.id)))


@pytest.fixture(autouse=True)
def people(core_app: Flask, mail_server: MailServer, cast: Cast) -> Cast:
    return cast


def test_it_waits_for_the_workers_first(mail_server: MailServer, now: datetime) -> None:
    raise_it(AlarmKind.WORKERS_SILENT, now)
    assert alarm_mail.deliver(now + GRACE - timedelta(seconds=1))
    assert mail_server.messages == []


def test_many_alarms_are_one_mail_to_each_operator(
    mail_server: MailServer, factory: Factory, cast: Cast, now: datetime
) -> None:
    other = factory.user("oscar", is_operator=True, locale="en")
    for kind in (AlarmKind.WORKERS_SILENT, AlarmKind.SCAN_SILENT, AlarmKind.REDIS_AWAY):
        raise_it(kind, now)
    assert alarm_mail.deliver(now + GRACE)
    assert len(mail_server.messages) == 2
    (mail,) = mail_server.to(other.email)
    assert mail["Subject"] == "Alarm · No worker is running · shop.example.com · 3 in all"
    assert "Redis is away" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_what_was_sent_is_settled_and_never_sent_again(mail_server: MailServer, now: datetime) -> None:
    raise_it(AlarmKind.WORKERS_SILENT, now)
    later = now + GRACE
    for _ in range(2):
        assert alarm_mail.deliver(later)
    (notice,) = notices()
    drive(noticing.KIND, notice.id, lambda: later)
    assert len(mail_server.messages) == 1
    assert (notice.state, notice.sent_at, notice.next_attempt_at) == (NoticeState.SENT, later, None)
    assert db.session.scalars(select(Alarm.told_at)).all() == [later]
    (entry,) = db.session.scalars(select(HistoryEntry).where(HistoryEntry.subject_id == notice.id))
    assert (entry.actor, entry.to_state) == ("watchdog", "sent")


def test_a_higher_rung_is_sent_again(mail_server: MailServer, now: datetime) -> None:
    for hours in range(3):
        raise_it(AlarmKind.WORKERS_SILENT, now + timedelta(hours=hours), hours)
        alarm_mail.deliver(now + timedelta(hours=hours) + GRACE)
    assert len(mail_server.messages) == 3


def test_what_is_over_is_not_sent(mail_server: MailServer, now: datetime) -> None:
    raise_it(AlarmKind.WORKERS_SILENT, now)
    alarms.clear_alarm(AlarmKind.WORKERS_SILENT, now)
    db.session.commit()
    assert alarm_mail.deliver(now + GRACE)
    assert mail_server.messages == []


def test_while_the_mail_server_is_busy_it_stays_to_be_sent(mail_server: MailServer, now: datetime) -> None:
    raise_it(AlarmKind.WORKERS_SILENT, now)
    mail_server.answer = "451 busy"
    assert not alarm_mail.deliver(now + GRACE)
    assert [(one.state, one.lease_until) for one in notices()] == [(NoticeState.PENDING, None)]
    mail_server.answer = None
    assert alarm_mail.deliver(now + GRACE)
    assert len(mail_server.messages) == 1


def test_what_a_worker_is_sending_just_now_is_left_to_it(mail_server: MailServer, now: datetime) -> None:
    raise_it(AlarmKind.WORKERS_SILENT, now)
    (notice,) = notices()
    notice.lease_until = datetime.now(now.tzinfo) + timedelta(minutes=1)
    db.session.commit()
    assert alarm_mail.deliver(now + GRACE)
    assert mail_server.messages == []


class TestWithoutDatabase:
    def test_operators_are_remembered_beside_it(self, cast: Cast, tmp_path: Path) -> None:
        path = tmp_path / "watchdog.operators"
        assert alarm_mail.recall(path) == []
        alarm_mail.remember(alarm_mail.operators(), path)
        assert [one.email for one in alarm_mail.recall(path)] == [cast.olga.email]
        assert path.stat().st_mode & 0o077 == 0
        path.write_text("damaged")
        assert alarm_mail.recall(path) == []

    def test_they_are_told_all_the_same(self, mail_server: MailServer, now: datetime) -> None:
        people = alarm_mail.operators()
        db.session.remove()
        assert alarm_mail.mail_directly(people, AlarmKind.DATABASE_AWAY, {"minutes": 2}, now)
        assert len(mail_server.messages) == 1
        assert alarm_mail.mail_directly([], AlarmKind.DATABASE_AWAY, {}, now) is False

"""Alarms: one of a kind and subject, told again only when it gets worse; the ladder of a renewal that is late."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.alarms import AlarmKind
from portal.domain.due import alarm_at
from portal.domain.notices import NoticeKind, NoticeState
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.services import alarms, noticing
from portal.services.driving import drive
from tests.factories import Cast, Factory

LATE = AlarmKind.RENEWAL_LATE


def rows() -> list[Alarm]:
    db.session.expire_all()
    return list(db.session.scalars(select(Alarm).order_by(Alarm.raised_at, Alarm.id)))


def mails(kind: NoticeKind = NoticeKind.ALARM) -> list[Notice]:
    db.session.expire_all()
    return list(db.session.scalars(select(Notice).where(Notice.kind == kind).order_by(Notice.created_at)))


def raise_it(now: datetime, rung: int = 0, **params: object) -> None:
    alarms.raise_alarm(
        AlarmKind.CA_UNAVAILABLE, now, subject_type="ca_accounts", subject_id="a", rung=rung, params=params
    )
    db.session.commit()


class TestRaising:
    def test_every_operator_is_told_once(self, core_app: Flask, cast: Cast, now: datetime) -> None:
        raise_it(now, name="LE")
        raise_it(now + timedelta(minutes=1), name="LE")
        (alarm,) = rows()
        (mail,) = mails()
        assert (alarm.kind, alarm.params, alarm.raised_at) == (AlarmKind.CA_UNAVAILABLE, {"name": "LE"}, now)
        assert (mail.recipient, mail.subject_type, mail.subject_id) == (cast.olga.email, "alarms", alarm.id)

    def test_worse_tells_again_and_better_does_not(self, core_app: Flask, cast: Cast, now: datetime) -> None:
        for minutes, rung in enumerate((1, 2, 1, 2, 3)):
            raise_it(now + timedelta(minutes=minutes), rung)
        (alarm,) = rows()
        assert [mail.threshold for mail in mails()] == [1, 2, 3]
        assert (alarm.rung, alarm.raised_at, alarm.rung_at) == (3, now, now + timedelta(minutes=4))

    def test_the_words_of_an_open_alarm_keep_up(self, core_app: Flask, cast: Cast, now: datetime) -> None:
        raise_it(now, count=1)
        raise_it(now, count=9)
        assert [one.params for one in rows()] == [{"count": 9}]
        assert len(mails()) == 1

    def test_cleared_and_raised_again_tells_again(self, core_app: Flask, cast: Cast, now: datetime) -> None:
        raise_it(now)
        alarms.clear_alarm(AlarmKind.CA_UNAVAILABLE, now, subject_type="ca_accounts", subject_id="a")
        alarms.clear_alarm(AlarmKind.CA_UNAVAILABLE, now, subject_type="ca_accounts", subject_id="a")
        raise_it(now + timedelta(hours=1))
        assert [one.cleared_at for one in rows()] == [now, None]
        assert len(mails()) == 2

    def test_other_subjects_have_alarms_of_their_own(
        self, core_app: Flask, cast: Cast, now: datetime
    ) -> None:
        raise_it(now)
        alarms.raise_alarm(AlarmKind.CA_UNAVAILABLE, now, subject_type="ca_accounts", subject_id="b")
        alarms.clear_alarm(AlarmKind.CA_UNAVAILABLE, now, subject_type="ca_accounts", subject_id="b")
        db.session.commit()
        assert sum(one.cleared_at is None for one in rows()) == 1

    def test_a_rollback_of_the_caller_takes_it_back(self, core_app: Flask, cast: Cast, now: datetime) -> None:
        alarms.raise_alarm(AlarmKind.STORAGE_FULL, now)
        db.session.rollback()
        assert rows() == []
        assert mails() == []


class TestTelling:
    def test_it_is_noted_when_the_mail_went_out(
        self, core_app: Flask, mail_server: object, cast: Cast, now: datetime
    ) -> None:
        raise_it(now)
        drive(noticing.KIND, mails()[0].id, lambda: now)
        assert mails()[0].state is NoticeState.SENT
        assert rows()[0].told_at == now

    def test_what_was_cleared_before_its_mail_went_out_is_not_told(
        self, core_app: Flask, mail_server: object, cast: Cast, now: datetime
    ) -> None:
        raise_it(now)
        alarms.clear_alarm(AlarmKind.CA_UNAVAILABLE, now, subject_type="ca_accounts", subject_id="a")
        db.session.commit()
        drive(noticing.KIND, mails()[0].id, lambda: now)
        assert (mails()[0].state, mails()[0].error_code) == (NoticeState.REFUSED, "notice_outdated")


@pytest.fixture
def renewal(factory: Factory, cast: Cast, now: datetime) -> Renewal:
    """One of a certificate of 90 days (30 of lead) that expires in 14: two steps of its ladder lie behind."""
    certificate = factory.certificate(
        cast.organisation, lifetime=timedelta(days=90), expires_in=timedelta(days=14)
    )
    made = factory.renewal(
        factory.hosting(certificate),
        due=now,
        alarm_at=alarm_at(certificate.not_before, certificate.not_after, 0),
    )
    made.created_at = now - timedelta(days=70)
    db.session.commit()
    return made


def stored(renewal: Renewal) -> Renewal:
    db.session.expire_all()
    return db.session.get_one(Renewal, renewal.id)


class TestLadder:
    def test_the_step_that_was_reached_is_told_and_the_next_one_set(
        self, renewal: Renewal, now: datetime
    ) -> None:
        assert alarms.climb_ladders(now) == 1
        assert alarms.climb_ladders(now) == 0
        (alarm,) = rows()
        after = stored(renewal)
        life = (renewal.predecessor.not_before, renewal.predecessor.not_after)
        assert (alarm.kind, alarm.subject_id, alarm.rung) == (LATE, renewal.id, 2)
        assert alarm.params["days"] == 14
        assert (after.alarm_rung, after.alarm_at) == (2, alarm_at(*life, 2))

    def test_every_further_step_is_told_once_up_to_the_expiry(self, renewal: Renewal, now: datetime) -> None:
        for days in range(16):
            alarms.climb_ladders(now + timedelta(days=days))
        assert [mail.threshold for mail in mails()] == [2, 3, 4, 5, 6]
        assert stored(renewal).alarm_at is None
        assert rows()[0].cleared_at is None

    def test_one_that_began_late_is_given_a_day_first(self, renewal: Renewal, now: datetime) -> None:
        renewal.created_at = now
        db.session.commit()
        alarms.climb_ladders(now)
        assert rows() == []
        assert stored(renewal).alarm_at == now + timedelta(days=1)
        alarms.climb_ladders(now + timedelta(days=1))
        assert [one.rung for one in rows()] == [2]

    def test_one_that_is_looked_at_too_early_is_put_on_its_first_step(
        self, renewal: Renewal, now: datetime
    ) -> None:
        early = now - timedelta(days=20)
        renewal.alarm_at = early
        db.session.commit()
        alarms.climb_ladders(early)
        assert rows() == []
        life = (renewal.predecessor.not_before, renewal.predecessor.not_after)
        assert stored(renewal).alarm_at == alarm_at(*life, 0)

    def test_done_or_taken_back_is_over(self, renewal: Renewal, now: datetime) -> None:
        alarms.climb_ladders(now)
        alarms.clear_for_renewal(stored(renewal), now)
        db.session.commit()
        assert rows()[0].cleared_at == now
        assert stored(renewal).alarm_at is None

    @pytest.mark.parametrize("state", [RenewalState.DONE, RenewalState.CANCELLED])
    def test_a_finished_one_that_was_left_on_the_ladder_is_taken_off(
        self, renewal: Renewal, now: datetime, state: RenewalState
    ) -> None:
        renewal.state = state
        db.session.commit()
        alarms.climb_ladders(now)
        assert rows() == []
        assert stored(renewal).alarm_at is None

    def test_many_at_once_are_one_mail(self, renewal: Renewal, factory: Factory, now: datetime) -> None:
        for sequence in range(2, 30):
            factory.renewal(
                renewal.hosting,
                sequence=sequence,
                alarm_at=now,
            ).created_at = now - timedelta(days=70)
        db.session.commit()
        assert alarms.climb_ladders(now) == 29
        (mail,) = mails()
        assert len(rows()) == 29
        assert (mail.params["count"], len(mail.params["alarms"])) == (29, alarms.SHOWN_IN_MAIL)
        assert set(mail.params["rungs"]) == {one.id for one in rows()}


class TestContacts:
    @pytest.fixture
    def stopped(self, renewal: Renewal, now: datetime) -> Renewal:
        renewal.stopped_at = now
        renewal.error_code, renewal.error_params = "validation_failed", {"name": "x.example", "said": "no"}
        db.session.commit()
        return renewal

    def test_the_customer_is_reminded_of_what_the_customer_can_mend(
        self, stopped: Renewal, cast: Cast, now: datetime
    ) -> None:
        alarms.climb_ladders(now)
        (mail,) = mails(NoticeKind.ACTION_REQUIRED)
        assert (mail.recipient, mail.threshold) == (cast.alice.email, 2)
        assert mail.params["error_code"] == "validation_failed"

    def test_not_on_the_first_step(self, stopped: Renewal, now: datetime) -> None:
        alarms.climb_ladders(now - timedelta(days=4))
        assert [one.rung for one in rows()] == [1]
        assert mails(NoticeKind.ACTION_REQUIRED) == []

    def test_what_only_operators_can_mend_is_theirs(self, stopped: Renewal, now: datetime) -> None:
        stopped.error_code, stopped.error_params = "ca_refused", {}
        db.session.commit()
        alarms.climb_ladders(now)
        assert mails(NoticeKind.ACTION_REQUIRED) == []
        assert len(mails()) == 1

    def test_what_is_not_stopped_goes_on_by_itself(self, stopped: Renewal, now: datetime) -> None:
        stopped.stopped_at = None
        db.session.commit()
        alarms.climb_ladders(now)
        assert mails(NoticeKind.ACTION_REQUIRED) == []

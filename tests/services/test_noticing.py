"""The outbox: told once, whatever happens; sent after the commit; kept while mail is away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import select

from jobs import notices as job
from portal.domain.notices import NoticeKind, NoticeState
from portal.doorbell import AllowedJob
from portal.models.account import Role
from portal.models.history import HistoryEntry
from portal.models.notice import Notice
from portal.queue import QueueName
from portal.services import noticing
from portal.services.driving import drive

PARAMS = {"number": "P1", "total_fen": 54_000, "currency": "CNY"}


def post(session, now, recipient="alice@example.com", **changes):
    values = {
        "subject_type": "orders",
        "subject_id": "1" * 32,
        "recipient": recipient,
        "locale": "en",
        "timezone": "Asia/Shanghai",
        "params": PARAMS,
        "now": now,
    }
    noticing.post(session, NoticeKind.ORDER_PAID, **(values | changes))


def stored(session):
    session.expire_all()
    return session.scalars(select(Notice).order_by(Notice.recipient)).all()


def rung(redis_server):
    with Redis.from_url(redis_server.url) as connection:
        queue = Queue(
            QueueName.NOTICE, connection=connection, job_class=AllowedJob, serializer=JSONSerializer
        )
        return [list(one.args) for one in queue.jobs]


def test_posting_rings_after_the_commit_and_not_before(session, now, redis_server):
    post(session, now)
    assert rung(redis_server) == []
    session.commit()
    (notice,) = stored(session)
    assert rung(redis_server) == [[notice.id]]
    assert (notice.state, notice.next_attempt_at) == (NoticeState.PENDING, now)


def test_a_rollback_leaves_neither_row_nor_ring(session, now, redis_server):
    post(session, now)
    session.rollback()
    session.commit()
    assert stored(session) == []
    assert rung(redis_server) == []


def test_the_same_notice_is_told_once(session, now, redis_server):
    for _ in range(2):
        post(session, now)
        session.commit()
    post(session, now)
    post(session, now)
    session.commit()
    assert len(stored(session)) == 1
    assert len(rung(redis_server)) == 1


@pytest.mark.parametrize(
    "change", [{"recipient": "bob@example.com"}, {"threshold": 7}, {"subject_id": "2" * 32}]
)
def test_another_recipient_threshold_or_subject_is_another_notice(session, now, change):
    post(session, now)
    post(session, now, **change)
    session.commit()
    first, second = stored(session)
    assert first.message_id != second.message_id


def test_the_message_id_follows_from_what_is_told(session, now):
    post(session, now)
    first = stored(session)[0].message_id
    session.rollback()
    post(session, now + timedelta(days=1))
    assert stored(session)[0].message_id == first
    assert first.endswith("@127.0.0.1>")


def test_each_contact_is_told_in_their_own_language_and_zone(session, factory, cast, now):
    factory.contact(cast.organisation, email="zh@example.com", locale="zh_Hans")
    factory.contact(cast.organisation, email="en@example.com", locale="en").timezone = "Europe/Berlin"
    factory.contact(cast.other_organisation, email="other@example.com")
    noticing.tell(
        session, cast.organisation.id, NoticeKind.ORDER_PAID,
        subject_type="orders", subject_id="1" * 32, params=PARAMS, now=now,
    )  # fmt: skip
    session.commit()
    told = {one.recipient: (one.locale, one.timezone, one.organisation_id) for one in stored(session)}
    assert told == {
        "en@example.com": ("en", "Europe/Berlin", cast.organisation.id),
        "zh@example.com": ("zh_Hans", "Asia/Shanghai", cast.organisation.id),
    }


def test_without_contacts_the_owners_are_told(session, factory, now):
    organisation = factory.organisation()
    owner = factory.member(organisation, Role.OWNER)
    factory.member(organisation, Role.VIEWER)
    noticing.tell(
        session, organisation.id, NoticeKind.ORDER_PAID,
        subject_type="orders", subject_id="1" * 32, params=PARAMS, now=now,
    )  # fmt: skip
    assert [one.recipient for one in stored(session)] == [owner.email]


def test_each_operator_is_told(session, cast, now):
    noticing.tell_operators(
        session, NoticeKind.ACTION_REQUIRED,
        subject_type="orders", subject_id="1" * 32, params=PARAMS, now=now,
    )  # fmt: skip
    assert [one.recipient for one in stored(session)] == [cast.olga.email]


# Sending


def test_a_notice_is_sent_and_settled(session, now, mail_server):
    post(session, now)
    session.commit()
    job.send(*[one.id for one in stored(session)])
    (notice,) = stored(session)
    (mail,) = mail_server.messages
    assert notice.state is NoticeState.SENT
    assert notice.sent_at is not None
    assert notice.next_attempt_at is None
    assert mail["Message-ID"] == notice.message_id
    assert mail["To"] == "alice@example.com"


def test_a_doubled_job_sends_nothing_twice(session, now, mail_server):
    post(session, now)
    session.commit()
    for _ in range(2):
        job.send(*[one.id for one in stored(session)])
    assert len(mail_server.messages) == 1


def test_while_mail_is_away_notices_wait(session, now, mail_server):
    mail_server.answer = "451 later"
    post(session, now)
    session.commit()
    (notice,) = stored(session)
    drive(noticing.KIND, notice.id, lambda: now)
    (notice,) = stored(session)
    assert (notice.state, notice.error_code, notice.attempts) == (NoticeState.PENDING, "mail_unavailable", 1)
    assert notice.next_attempt_at == now + timedelta(seconds=10)
    mail_server.answer = None
    drive(noticing.KIND, notice.id, lambda: now + timedelta(seconds=10))
    (notice,) = stored(session)
    assert (notice.state, notice.error_code, notice.attempts) == (NoticeState.SENT, None, 0)


def test_a_refusal_is_final_and_told_to_the_operators(session, cast, now, mail_server):
    mail_server.answer = "550 5.1.1 no such user"
    post(session, now)
    session.commit()
    (notice,) = stored(session)
    drive(noticing.KIND, notice.id, lambda: now)
    told = {one.recipient: one for one in stored(session)}
    refused = told["alice@example.com"]
    assert (refused.state, refused.next_attempt_at) == (NoticeState.REFUSED, None)
    assert (refused.error_code, refused.stopped_at) == ("mail_refused", now)
    assert told[cast.olga.email].params["recipient"] == "alice@example.com"
    history = session.scalars(select(HistoryEntry).where(HistoryEntry.subject_id == refused.id)).all()
    assert {one.event for one in history} == {"refuse", "stop"}


def test_a_refused_mail_about_a_mail_is_not_told_of_again(session, cast, now, mail_server):
    mail_server.answer = "550 no"
    post(session, now)
    session.commit()
    for _ in range(3):
        for notice in stored(session):
            drive(noticing.KIND, notice.id, lambda: now)
    assert {one.state for one in stored(session)} == {NoticeState.REFUSED}
    assert len(stored(session)) == 2


def test_what_cannot_be_addressed_is_refused_without_a_mail_about_it(session, cast, now, mail_server):
    post(session, now, recipient="nobody")
    session.commit()
    (notice,) = stored(session)
    drive(noticing.KIND, notice.id, lambda: now)
    (notice,) = stored(session)
    assert (notice.state, notice.error_code) == (NoticeState.REFUSED, "recipient_invalid")
    assert mail_server.messages == []


def test_without_a_mail_server_notices_wait(session, now):
    post(session, now)
    session.commit()
    (notice,) = stored(session)
    drive(noticing.KIND, notice.id, lambda: now)
    (notice,) = stored(session)
    assert (notice.state, notice.error_code) == (NoticeState.PENDING, "mail_not_configured")

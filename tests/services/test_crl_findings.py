"""Certificates of ours on a revocation list: marked, told of, renewed; once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.alarms import AlarmKind
from portal.domain.due import DueReason
from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.models.alarm import Alarm
from portal.models.certificate import Certificate
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.services import crl_findings, crl_reading
from tests.crls import make_crl
from tests.services.crl_looks import open_alarms, read, revoked_at, serial, told


@pytest.fixture
def contact(factory, cast):
    return factory.contact(cast.organisation)


def test_a_hosted_certificate_on_the_list_is_renewed_at_once(
    make_listed, factory, cast, list_server, contact, session, now
):
    certificate = make_listed(expires_in=timedelta(days=150))
    hosting = factory.hosting(certificate)
    waiting = factory.renewal(hosting)
    list_server.body = make_crl({serial(certificate): 1}, now=now)
    read(now)
    assert revoked_at(certificate) == now - timedelta(days=1)
    renewal = session.get_one(Renewal, waiting.id)
    assert (renewal.due_reason, renewal.next_attempt_at) == (DueReason.REVOKED, now)
    assert told() == [NoticeKind.REVOKED]
    assert open_alarms() == [AlarmKind.CERTIFICATE_REVOKED]
    history = select(HistoryEntry.reason).where(HistoryEntry.subject_id == certificate.id)
    assert session.scalars(history).all() == ["crl_1"]


def test_a_completed_hosting_is_reopened_inside_its_term(
    make_listed, factory, list_server, contact, session, now
):
    certificate = make_listed(expires_in=timedelta(days=150))
    hosting = factory.hosting(certificate, state=HostingState.COMPLETED)
    list_server.body = make_crl({serial(certificate): None})
    read(now)
    assert session.get_one(Hosting, hosting.id).state is HostingState.HOSTED
    renewal = session.scalars(select(Renewal)).one()
    assert (renewal.state, renewal.due_reason) == (RenewalState.WAITING, DueReason.REVOKED)


def test_reading_it_again_tells_nobody_again(make_listed, factory, list_server, contact, session, now):
    certificate = make_listed(expires_in=timedelta(days=150))
    factory.renewal(factory.hosting(certificate))
    list_server.body = make_crl({serial(certificate): 1})
    read(now)
    make_listed(key_number=1)
    read(now + timedelta(days=1))
    assert told() == [NoticeKind.REVOKED]
    assert len(session.scalars(select(Alarm)).all()) == 1
    assert len(session.scalars(select(Renewal)).all()) == 1


def test_one_that_is_not_hosted_is_marked_and_told_of_without_an_alarm(
    make_listed, list_server, contact, now
):
    certificate = make_listed()
    list_server.body = make_crl({serial(certificate): 4})
    read(now)
    assert revoked_at(certificate) is not None
    assert told() == [NoticeKind.REVOKED]
    assert open_alarms() == []


def test_the_alarm_ends_once_the_certificate_is_replaced(make_listed, factory, list_server, session, now):
    certificate = make_listed(expires_in=timedelta(days=150))
    factory.renewal(factory.hosting(certificate))
    make_listed(key_number=1)
    list_server.body = make_crl({serial(certificate): 1})
    read(now)
    assert open_alarms() == [AlarmKind.CERTIFICATE_REVOKED]
    session.get_one(Certificate, certificate.id).replaced_at = now
    session.commit()
    read(now + timedelta(days=1))
    assert open_alarms() == []


def test_on_hold_is_trouble_now_and_not_for_ever(make_listed, factory, list_server, contact, session, now):
    certificate = make_listed(expires_in=timedelta(days=150))
    waiting = factory.renewal(factory.hosting(certificate))
    list_server.body = make_crl({serial(certificate): 6})
    read(now)
    assert revoked_at(certificate) is None
    assert open_alarms() == [AlarmKind.CERTIFICATE_REVOKED]
    assert session.get_one(Renewal, waiting.id).due_reason is DueReason.REVOKED
    list_server.body = make_crl({})
    read(now + timedelta(days=1))
    assert open_alarms() == []
    assert told() == [NoticeKind.REVOKED]


def test_what_is_taken_off_a_list_is_not_revoked(make_listed, list_server, now):
    certificate = make_listed()
    list_server.body = make_crl({serial(certificate): 8})
    read(now)
    assert revoked_at(certificate) is None


def test_a_ca_in_trouble_is_worked_off_in_portions(
    make_listed, factory, list_server, monkeypatch, session, now
):
    monkeypatch.setattr(crl_reading, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(crl_findings, "AT_ONCE", 2)
    revoked = [make_listed(names=[f"{number}.example.com"]) for number in range(5)]
    list_server.body, list_server.etag = make_crl({serial(one): 1 for one in revoked}), '"1"'
    moment = now
    for _ in range(4):
        read(moment)
        moment += timedelta(minutes=1)
    assert all(revoked_at(one) is not None for one in revoked)
    assert len(list_server.asked) >= 3

"""Revocation lists on a real server: what is believed, what is done, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.alarms import AlarmKind
from portal.domain.due import DueReason
from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.domain.revocation import CrlState
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.authority import CrlSource
from portal.models.certificate import Certificate, Source
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.services import crl_findings, crl_reading
from portal.services.crl_reading import KIND, watch
from portal.services.driving import drive
from tests import pki
from tests.crls import crl_server, make_crl, points, scope


@pytest.fixture
def server():
    with crl_server() as running:
        running.body = make_crl({})
        yield running


@pytest.fixture
def make(factory, cast, server, now):
    """Stores a certificate that names the list, and watches it."""

    def made(**making) -> Certificate:
        leaf = pki.make_certificate(now=now, extensions=[points(server.url)], **making)
        certificate = factory.certificate(cast.organisation, leaf)
        watch(certificate)
        db.session.commit()
        return certificate

    return made


@pytest.fixture
def contact(factory, cast):
    return factory.contact(cast.organisation)


def read(now) -> CrlSource:
    """Read every list that is due."""
    for source in db.session.scalars(select(CrlSource)).all():
        drive(KIND, source.id, lambda: now)
    db.session.expire_all()
    return db.session.scalars(select(CrlSource)).one()


def serial(certificate) -> int:
    return int(certificate.serial, 16)


def revoked_at(certificate):
    db.session.expire_all()
    return db.session.get_one(Certificate, certificate.id).revoked_at


def told() -> list[NoticeKind]:
    kinds = db.session.scalars(select(Notice.kind).where(Notice.organisation_id.is_not(None)))
    return list(kinds)


def open_alarms() -> list[AlarmKind]:
    return list(db.session.scalars(select(Alarm.kind).where(Alarm.cleared_at.is_(None))))


def test_a_clean_list_is_read_once_a_day(make, server, now):
    certificate = make()
    source = read(now)
    assert revoked_at(certificate) is None
    assert (source.read_at, source.error_code, source.state) == (now, None, CrlState.ACTIVE)
    assert now + timedelta(hours=20) <= source.next_attempt_at <= now + timedelta(days=1)
    read(now + timedelta(hours=19))
    assert len(server.asked) == 1
    read(now + timedelta(days=1))
    assert len(server.asked) == 2


def test_a_list_is_read_again_when_its_next_edition_is_due(make, server, now):
    make()
    server.body = make_crl({}, now=now, valid_for=timedelta(hours=3))
    source = read(now)
    assert (
        now + timedelta(hours=3)
        <= source.next_attempt_at
        <= now + timedelta(hours=3) + crl_reading.LEAST_PAUSE
    )


def test_an_unchanged_list_is_neither_sent_nor_opened_again(make, server, now):
    make()
    server.etag = '"1"'
    assert read(now).etag == '"1"'
    source = read(now + timedelta(days=1))
    assert server.asked == [None, '"1"']
    assert source.read_at == now + timedelta(days=1)


def test_an_upload_is_looked_for_on_a_list_that_has_not_changed(make, server, now):
    make()
    second = pki.make_certificate(now=now, extensions=[points(server.url)])
    server.etag, server.body = '"1"', make_crl({second.leaf.serial_number: 1})
    read(now)
    source = db.session.scalars(select(CrlSource)).one()
    later = Certificate(source=Source.UPLOADED, crl_url=server.url, created_at=now + timedelta(minutes=1))
    watch(later)
    db.session.commit()
    db.session.refresh(source)
    assert source.etag is None
    assert source.next_attempt_at == now + crl_reading.LEAST_PAUSE


def test_a_hosted_certificate_on_the_list_is_renewed_at_once(
    make, factory, cast, server, contact, session, now
):
    certificate = make(expires_in=timedelta(days=150))
    hosting = factory.hosting(certificate)
    waiting = factory.renewal(hosting)
    server.body = make_crl({serial(certificate): 1}, now=now)
    read(now)
    assert revoked_at(certificate) == now - timedelta(days=1)
    renewal = session.get_one(Renewal, waiting.id)
    assert (renewal.due_reason, renewal.next_attempt_at) == (DueReason.REVOKED, now)
    assert told() == [NoticeKind.REVOKED]
    assert open_alarms() == [AlarmKind.CERTIFICATE_REVOKED]
    history = select(HistoryEntry.reason).where(HistoryEntry.subject_id == certificate.id)
    assert session.scalars(history).all() == ["crl_1"]


def test_a_completed_hosting_is_reopened_inside_its_term(make, factory, server, contact, session, now):
    certificate = make(expires_in=timedelta(days=150))
    hosting = factory.hosting(certificate, state=HostingState.COMPLETED)
    server.body = make_crl({serial(certificate): None})
    read(now)
    assert session.get_one(Hosting, hosting.id).state is HostingState.HOSTED
    renewal = session.scalars(select(Renewal)).one()
    assert (renewal.state, renewal.due_reason) == (RenewalState.WAITING, DueReason.REVOKED)


def test_reading_it_again_tells_nobody_again(make, factory, server, contact, session, now):
    certificate = make(expires_in=timedelta(days=150))
    factory.renewal(factory.hosting(certificate))
    server.body = make_crl({serial(certificate): 1})
    read(now)
    make(key_number=1)
    read(now + timedelta(days=1))
    assert told() == [NoticeKind.REVOKED]
    assert len(session.scalars(select(Alarm)).all()) == 1
    assert len(session.scalars(select(Renewal)).all()) == 1


def test_one_that_is_not_hosted_is_marked_and_told_of_without_an_alarm(make, server, contact, now):
    certificate = make()
    server.body = make_crl({serial(certificate): 4})
    read(now)
    assert revoked_at(certificate) is not None
    assert told() == [NoticeKind.REVOKED]
    assert open_alarms() == []


def test_the_alarm_ends_once_the_certificate_is_replaced(make, factory, server, session, now):
    certificate = make(expires_in=timedelta(days=150))
    factory.renewal(factory.hosting(certificate))
    make(key_number=1)
    server.body = make_crl({serial(certificate): 1})
    read(now)
    assert open_alarms() == [AlarmKind.CERTIFICATE_REVOKED]
    session.get_one(Certificate, certificate.id).replaced_at = now
    session.commit()
    read(now + timedelta(days=1))
    assert open_alarms() == []


def test_on_hold_is_trouble_now_and_not_for_ever(make, factory, server, contact, session, now):
    certificate = make(expires_in=timedelta(days=150))
    waiting = factory.renewal(factory.hosting(certificate))
    server.body = make_crl({serial(certificate): 6})
    read(now)
    assert revoked_at(certificate) is None
    assert open_alarms() == [AlarmKind.CERTIFICATE_REVOKED]
    assert session.get_one(Renewal, waiting.id).due_reason is DueReason.REVOKED
    server.body = make_crl({})
    read(now + timedelta(days=1))
    assert open_alarms() == []
    assert told() == [NoticeKind.REVOKED]


def test_what_is_taken_off_a_list_is_not_revoked(make, server, now):
    certificate = make()
    server.body = make_crl({serial(certificate): 8})
    read(now)
    assert revoked_at(certificate) is None


def test_a_list_signed_by_somebody_else_is_not_believed(make, server, now):
    certificate = make()
    forger = pki.Issuer(pki.test_ca().certificate, pki.key("ec-p256", 77))
    server.body = make_crl({serial(certificate): 1}, forger)
    source = read(now)
    assert revoked_at(certificate) is None
    assert source.error_code == "crl_not_signed"
    assert source.stopped_at == now


def test_a_list_of_another_issuer_is_not_believed(make, server, now):
    certificate = make()
    server.body = make_crl({serial(certificate): 1}, pki.make_ca("Somebody Else", number=103))
    assert read(now).error_code == "crl_not_signed"
    assert revoked_at(certificate) is None


def test_the_list_of_one_issuer_says_nothing_of_anothers_certificates(factory, cast, make, server, now):
    """Somebody uploads a certificate of a CA of their own that names the list of a public CA."""
    mine = make()
    other_ca = pki.make_ca("Private", number=104)
    made = pki.make_certificate(now=now, issuer=other_ca, extensions=[points(server.url)])
    theirs = factory.certificate(cast.other_organisation, made)
    server.body = make_crl({serial(mine): 1, serial(theirs): 1})
    read(now)
    assert revoked_at(mine) is not None
    assert revoked_at(theirs) is None


def test_whoever_is_not_in_the_sample_is_found_all_the_same(make, factory, server, monkeypatch, now):
    old = make()
    monkeypatch.setattr(crl_reading, "SAMPLE", 1)
    factory.now = now + timedelta(minutes=1)
    make(key_number=1)
    server.body = make_crl({serial(old): 1})
    read(now + timedelta(minutes=1))
    assert revoked_at(old) is not None


def test_an_expired_list_is_a_warning(make, server, now):
    certificate = make()
    server.body = make_crl({serial(certificate): 1}, now=now, valid_for=timedelta(hours=-2))
    make(key_number=1)
    source = read(now)
    assert revoked_at(certificate) is not None
    assert (source.error_code, source.stopped_at) == ("crl_expired", None)
    server.body = make_crl({}, now=now + timedelta(days=1))
    assert read(now + timedelta(days=1)).error_code is None


@pytest.mark.parametrize(
    "extension",
    [scope("http://crl.example.com/other"), scope(ca_certs=True), scope(indirect=True)],
    ids=["another address", "for CAs", "indirect"],
)
def test_a_list_of_something_else_is_refused(make, server, extension, now):
    certificate = make()
    server.body = make_crl({serial(certificate): 1}, extensions=[extension])
    assert read(now).error_code == "crl_of_something_else"
    assert revoked_at(certificate) is None


def test_a_list_that_says_its_own_address_is_taken(make, server, now):
    certificate = make()
    server.body = make_crl({serial(certificate): 1}, extensions=[scope(server.url)])
    read(now)
    assert revoked_at(certificate) is not None


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\x30\x84\xff\xff\xff\xff", b"-----BEGIN X509 CRL-----\nAA=="]
)
def test_what_is_no_list_is_refused(make, server, body, now):
    make()
    server.body = body
    source = read(now)
    assert (source.error_code, source.stopped_at) == ("crl_broken", now)


def test_a_server_that_is_away_is_asked_again_soon(make, server, now):
    make()
    server.status = 503
    source = read(now)
    assert (source.error_code, source.stopped_at) == ("crl_unavailable", None)
    assert source.next_attempt_at < now + timedelta(minutes=5)
    server.status = 200
    source = read(now + timedelta(minutes=5))
    assert (source.error_code, source.attempts) == (None, 0)


class TestOutside:
    @pytest.fixture
    def overrides(self):
        return {"allowed_networks": ()}

    def test_an_address_inside_is_never_asked(self, make, server, now):
        make()
        assert read(now).error_code == "outbound_address_forbidden"
        assert server.asked == []


def test_a_list_nobody_names_any_more_is_let_go_and_taken_up_again(make, server, session, now):
    certificate = make()
    certificate.replaced_at = now
    session.commit()
    source = read(now)
    assert (source.state, source.next_attempt_at) == (CrlState.ENDED, None)
    assert server.asked == []
    make(key_number=1)
    source = read(now)
    assert (source.state, source.read_at) == (CrlState.ACTIVE, now)


def test_a_ca_in_trouble_is_worked_off_in_portions(make, factory, server, monkeypatch, session, now):
    monkeypatch.setattr(crl_reading, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(crl_findings, "AT_ONCE", 2)
    revoked = [make(names=[f"{number}.example.com"]) for number in range(5)]
    server.body, server.etag = make_crl({serial(one): 1 for one in revoked}), '"1"'
    moment = now
    for _ in range(4):
        read(moment)
        moment += timedelta(seconds=5)
    assert all(revoked_at(one) is not None for one in revoked)
    assert db.session.scalars(select(CrlSource)).one().state is CrlState.ENDED or server.asked


@pytest.mark.databases("sqlite")
def test_a_big_list_is_read_in_little_memory(make, server, now):
    certificate = make()
    lines = dict.fromkeys(range(2**80, 2**80 + 50_000), 4)
    server.body = make_crl(lines | {serial(certificate): 1})
    assert len(server.body) > 2_000_000
    assert read(now).error_code is None
    assert revoked_at(certificate) is not None

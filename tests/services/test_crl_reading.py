"""Revocation lists on a real server: what is believed, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.revocation import CrlState
from portal.extensions import db
from portal.models.authority import CrlSource
from portal.models.certificate import Certificate, Source
from portal.services import crl_reading
from portal.services.crl_reading import watch
from tests import pki
from tests.crls import make_crl, points, scope
from tests.services.crl_looks import read, revoked_at, serial


def test_a_clean_list_is_read_once_a_day(make_listed, list_server, now):
    certificate = make_listed()
    source = read(now)
    assert revoked_at(certificate) is None
    assert (source.read_at, source.error_code, source.state) == (now, None, CrlState.ACTIVE)
    assert now + timedelta(hours=20) <= source.next_attempt_at <= now + timedelta(days=1)
    read(now + timedelta(hours=19))
    assert len(list_server.asked) == 1
    read(now + timedelta(days=1))
    assert len(list_server.asked) == 2


def test_a_list_is_read_again_when_its_next_edition_is_due(make_listed, list_server, now):
    make_listed()
    list_server.body = make_crl({}, now=now, valid_for=timedelta(hours=3))
    source = read(now)
    assert (
        now + timedelta(hours=3)
        <= source.next_attempt_at
        <= now + timedelta(hours=3) + crl_reading.LEAST_PAUSE
    )


def test_an_unchanged_list_is_neither_sent_nor_opened_again(make_listed, list_server, now):
    make_listed()
    list_server.etag = '"1"'
    assert read(now).etag == '"1"'
    source = read(now + timedelta(days=1))
    assert list_server.asked == [None, '"1"']
    assert source.read_at == now + timedelta(days=1)


def test_an_upload_is_looked_for_on_a_list_that_has_not_changed(make_listed, list_server, now):
    make_listed()
    second = pki.make_certificate(now=now, extensions=[points(list_server.url)])
    list_server.etag, list_server.body = '"1"', make_crl({second.leaf.serial_number: 1})
    read(now)
    source = db.session.scalars(select(CrlSource)).one()
    later = Certificate(
        source=Source.UPLOADED, crl_url=list_server.url, created_at=now + timedelta(minutes=1)
    )
    watch(later)
    db.session.commit()
    db.session.refresh(source)
    assert source.etag is None
    assert source.next_attempt_at == now + crl_reading.LEAST_PAUSE


def test_a_list_signed_by_somebody_else_is_not_believed(make_listed, list_server, now):
    certificate = make_listed()
    forger = pki.Issuer(pki.test_ca().certificate, pki.key("ec-p256", 77))
    list_server.body = make_crl({serial(certificate): 1}, forger)
    source = read(now)
    assert revoked_at(certificate) is None
    assert source.error_code == "crl_not_signed"
    assert source.stopped_at == now


def test_a_list_of_another_issuer_is_not_believed(make_listed, list_server, now):
    certificate = make_listed()
    list_server.body = make_crl({serial(certificate): 1}, pki.make_ca("Somebody Else", number=103))
    assert read(now).error_code == "crl_not_signed"
    assert revoked_at(certificate) is None


def test_the_list_of_one_issuer_says_nothing_of_anothers_certificates(
    factory, cast, make_listed, list_server, now
):
    """Somebody uploads a certificate of a CA of their own that names the list of a public CA."""
    mine = make_listed()
    other_ca = pki.make_ca("Private", number=104)
    made = pki.make_certificate(now=now, issuer=other_ca, extensions=[points(list_server.url)])
    theirs = factory.certificate(cast.other_organisation, made)
    list_server.body = make_crl({serial(mine): 1, serial(theirs): 1})
    read(now)
    assert revoked_at(mine) is not None
    assert revoked_at(theirs) is None


def test_whoever_is_not_in_the_sample_is_found_all_the_same(
    make_listed, factory, list_server, monkeypatch, now
):
    old = make_listed()
    monkeypatch.setattr(crl_reading, "SAMPLE", 1)
    factory.now = now + timedelta(minutes=1)
    make_listed(key_number=1)
    list_server.body = make_crl({serial(old): 1})
    read(now + timedelta(minutes=1))
    assert revoked_at(old) is not None


def test_an_expired_list_is_a_warning(make_listed, list_server, now):
    certificate = make_listed()
    list_server.body = make_crl({serial(certificate): 1}, now=now, valid_for=timedelta(hours=-2))
    make_listed(key_number=1)
    source = read(now)
    assert revoked_at(certificate) is not None
    assert (source.error_code, source.stopped_at) == ("crl_expired", None)
    list_server.body = make_crl({}, now=now + timedelta(days=1))
    assert read(now + timedelta(days=1)).error_code is None


@pytest.mark.parametrize(
    "extension",
    [scope("http://crl.example.com/other"), scope(ca_certs=True), scope(indirect=True)],
    ids=["another address", "for CAs", "indirect"],
)
def test_a_list_of_something_else_is_refused(make_listed, list_server, extension, now):
    certificate = make_listed()
    list_server.body = make_crl({serial(certificate): 1}, extensions=[extension])
    assert read(now).error_code == "crl_of_something_else"
    assert revoked_at(certificate) is None


def test_a_list_that_says_its_own_address_is_taken(make_listed, list_server, now):
    certificate = make_listed()
    list_server.body = make_crl({serial(certificate): 1}, extensions=[scope(list_server.url)])
    read(now)
    assert revoked_at(certificate) is not None


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\x30\x84\xff\xff\xff\xff", b"-----BEGIN X509 CRL-----\nAA=="]
)
def test_what_is_no_list_is_refused(make_listed, list_server, body, now):
    make_listed()
    list_server.body = body
    source = read(now)
    assert (source.error_code, source.stopped_at) == ("crl_broken", now)


def test_a_server_that_is_away_is_asked_again_soon(make_listed, list_server, now):
    make_listed()
    list_server.status = 503
    source = read(now)
    assert (source.error_code, source.stopped_at) == ("crl_unavailable", None)
    assert source.next_attempt_at < now + timedelta(minutes=5)
    list_server.status = 200
    source = read(now + timedelta(minutes=5))
    assert (source.error_code, source.attempts) == (None, 0)


class TestOutside:
    @pytest.fixture
    def overrides(self):
        return {"allowed_networks": ()}

    def test_an_address_inside_is_never_asked(self, make_listed, list_server, now):
        make_listed()
        assert read(now).error_code == "outbound_address_forbidden"
        assert list_server.asked == []


def test_a_list_nobody_names_any_more_is_let_go_and_taken_up_again(make_listed, list_server, session, now):
    certificate = make_listed()
    certificate.replaced_at = now
    session.commit()
    source = read(now)
    assert (source.state, source.next_attempt_at) == (CrlState.ENDED, None)
    assert list_server.asked == []
    make_listed(key_number=1)
    source = read(now)
    assert (source.state, source.read_at) == (CrlState.ACTIVE, now)


@pytest.mark.databases("sqlite")
def test_a_big_list_is_read_in_little_memory(make_listed, list_server, now):
    certificate = make_listed()
    lines = dict.fromkeys(range(2**80, 2**80 + 50_000), 4)
    list_server.body = make_crl(lines | {serial(certificate): 1})
    assert len(list_server.body) > 2_000_000
    assert read(now).error_code is None
    assert revoked_at(certificate) is not None

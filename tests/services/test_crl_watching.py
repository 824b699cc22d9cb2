"""Which lists are read: those named by what is uploaded, issued, or was here before."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.domain.revocation import CrlState
from portal.models.authority import CrlSource
from portal.models.certificate import Certificate
from portal.services import crl_watching, housekeeping, uploading
from tests import pki
from tests.crls import points

URL = "http://crl.example.com/1.crl"


@pytest.fixture
def sources(session):
    return lambda: [(one.url, one.state) for one in session.scalars(select(CrlSource))]


def test_an_upload_has_its_list_watched(actor, session, sources, now):
    made = pki.make_certificate(now=now, extensions=[points(URL)])
    certificate = uploading.store(uploading.Upload(made.fullchain_pem), actor, now)
    assert (certificate.crl_url, sources()) == (URL, [(URL, CrlState.ACTIVE)])
    source = crl_watching.find_source(URL)
    assert source is not None
    assert source.next_attempt_at == now


def test_several_certificates_of_one_list_have_it_read_once(actor, sources, now):
    for number in range(3):
        made = pki.make_certificate([f"{number}.example.com"], now=now, extensions=[points(URL)])
        uploading.store(uploading.Upload(made.fullchain_pem), actor, now)
    assert sources() == [(URL, CrlState.ACTIVE)]


def test_without_a_list_there_is_nothing_to_watch(actor, sources, now):
    certificate = uploading.store(uploading.Upload(pki.make_certificate(now=now).fullchain_pem), actor, now)
    assert (certificate.crl_url, sources()) == ("", [])
    assert crl_watching.find_source("") is None


def test_what_was_here_before_is_looked_at_once(factory, cast, session, sources, now):
    old = factory.certificate(cast.organisation, pki.make_certificate(now=now, extensions=[points(URL)]))
    plain = factory.certificate(cast.organisation, names=["b.example.com"])
    for one in (old, plain):
        one.crl_url = None
    session.commit()
    housekeeping.clean(now)
    session.expire_all()
    assert session.get_one(Certificate, old.id).crl_url == URL
    assert session.get_one(Certificate, plain.id).crl_url == ""
    assert sources() == [(URL, CrlState.ACTIVE)]
    assert crl_watching.catch_up(now) == 0

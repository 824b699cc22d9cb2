"""Choosing the key of coming renewals: by role, and what cannot work said in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.domain.keys import make_csr
from portal.domain.renewal import KeySource
from portal.models.hosting import Hosting
from tests import pki

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def hosting(factory, cast, product):
    certificate = factory.certificate(cast.organisation, expires_in=timedelta(days=150))
    made = factory.hosting(certificate, product)
    factory.renewal(made)
    return made


@pytest.fixture
def path(hosting):
    return f"/certificates/{hosting.certificate_id}/key-choice"


def test_the_owner_chooses(client, cast, hosting, path, session):
    client.log_in(cast.alice)
    assert client.get(path).status_code == 200
    answer = client.post(path, data={"source": "new", "key_type": "rsa-3072"})
    assert (answer.status_code, answer.location) == (303, f"/certificates/{hosting.certificate_id}")
    session.expire_all()
    assert session.get_one(Hosting, hosting.id).key_type == "rsa-3072"
    assert "RSA-3072" in client.get(f"/certificates/{hosting.certificate_id}").text
    assert '<option selected value="rsa-3072">' in client.get(path).text


def test_a_request_is_taken_and_shown_again(client, cast, hosting, path, session):
    client.log_in(cast.alice)
    csr = make_csr(hosting.certificate.names, pki.key("ec-p384"))
    assert client.post(path, data={"source": "csr", "key_type": "", "csr": csr}).status_code == 303
    session.expire_all()
    assert session.get_one(Hosting, hosting.id).key_source is KeySource.CSR
    assert csr.splitlines()[1] in client.get(path).text


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"source": "theirs"},
        {"source": "new", "key_type": "dsa-1024"},
        {"source": "csr", "csr": "nonsense"},
        {"source": "csr", "csr": make_csr(["evil.example.com"], pki.key())},
    ],
)
def test_what_cannot_work_is_said_and_nothing_is_kept(client, cast, hosting, path, session, form):
    client.log_in(cast.alice)
    assert client.post(path, data=form).status_code == 422
    session.expire_all()
    kept = session.get_one(Hosting, hosting.id)
    assert (kept.key_source, kept.key_type, kept.csr_pem) == (KeySource.NEW, None, None)


def test_a_private_key_that_was_pasted_is_not_shown_again(client, cast, path):
    client.log_in(cast.alice)
    answer = client.post(path, data={"source": "csr", "csr": pki.key_pem(pki.key())})
    assert answer.status_code == 422
    assert "BEGIN PRIVATE" not in answer.text


def test_targets_that_would_be_left_behind_are_named(client, cast, factory, hosting, path):
    certificate = hosting.certificate
    factory.target(factory.cloud_account(cast.organisation), certificate=certificate)
    client.log_in(cast.alice)
    assert "CDN · shop.example.com" in client.get(path).text


def test_without_a_stored_key_there_is_nothing_to_use_again(client, cast, hosting, path, session):
    hosting.certificate.private_key = None
    session.commit()
    client.log_in(cast.alice)
    assert client.post(path, data={"source": "reuse"}).status_code == 422


@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("charlie", 404), ("olga", 404)])
def test_nobody_else_may(client, cast, hosting, path, session, who, status):
    client.log_in(getattr(cast, who))
    assert client.get(path).status_code == status
    assert client.post(path, data={"source": "new", "key_type": "rsa-4096"}).status_code == status
    session.expire_all()
    assert session.get_one(Hosting, hosting.id).key_type is None


def test_somebody_logged_out_logs_in_first(client, path):
    for answer in (client.get(path), client.post(path, data={"source": "new"})):
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/login")


def test_what_is_not_hosted_has_no_choice(client, cast, certificate):
    client.log_in(cast.alice)
    assert client.get(f"/certificates/{certificate.id}/key-choice").status_code == 422

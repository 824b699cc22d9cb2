"""The upload form: what it keeps, what it forgets, what it refuses."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import select

from portal.models.certificate import Certificate
from tests import pki

pytestmark = pytest.mark.databases("sqlite")


def test_files_are_taken_in_and_the_specification_is_asked_for(client, cast, product, session, now):
    made = pki.make_certificate(now=now)
    client.log_in(cast.alice)
    files = {
        "certificate_file": (io.BytesIO(made.fullchain_pem.encode()), "shop.pem"),
        "key_file": (io.BytesIO(made.key_pem.encode()), "shop.key"),
    }
    answer = client.post("/certificates/upload", data=files)
    stored = session.scalars(select(Certificate)).one()
    assert (answer.status_code, answer.location) == (303, f"/certificates/{stored.id}/specification")
    assert stored.private_key is not None
    confirmed = client.post(answer.location, data={"spec": "dv/perennial/basic"})
    assert (confirmed.status_code, confirmed.location) == (303, f"/certificates/{stored.id}")


def test_refused_form_keeps_all_but_the_secrets(client, cast, session, now):
    made = pki.make_certificate(now=now)
    client.log_in(cast.alice)
    form = {
        "certificate": made.fullchain_pem,
        "key": pki.key_pem(pki.key(number=9), "right"),
        "passphrase": "wrong-passphrase",
        "name": "my shop",
    }
    answer = client.post("/certificates/upload", data=form)
    assert answer.status_code == 422
    assert "my shop" in answer.text
    assert made.leaf_pem.splitlines()[1] in answer.text
    assert "wrong-passphrase" not in answer.text
    assert form["key"].splitlines()[1] not in answer.text
    assert session.scalars(select(Certificate)).all() == []


def test_htmx_gets_the_form_alone(client, cast):
    client.log_in(cast.alice)
    answer = client.post("/certificates/upload", data={"certificate": "x"}, htmx=True)
    assert answer.status_code == 422
    assert answer.text.lstrip().startswith("<form")


def test_duplicate_is_409_with_a_link(client, cast, certificate):
    client.log_in(cast.alice)
    answer = client.post("/certificates/upload", data={"certificate": certificate.fullchain_pem})
    assert answer.status_code == 409
    assert f'href="/certificates/{certificate.id}"' in answer.text


def test_ten_megabytes_are_refused_with_the_form(client, cast, session):
    client.log_in(cast.alice)
    body = b'--cut\r\nContent-Disposition: form-data; name="certificate"\r\n\r\n' + b"x" * 10_000_000
    answer = client.post("/certificates/upload", data=body, content_type="multipart/form-data; boundary=cut")
    assert answer.status_code == 413
    assert "256 KiB" in answer.text
    assert "upload-form" in answer.text

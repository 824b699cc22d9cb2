"""Choosing what to host and confirming it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import pki

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def paths(certificate):
    return ["/hosting", "/hosting/add", f"/hosting/confirm?certificate={certificate.id}"]


@pytest.mark.parametrize(
    ("who", "codes"),
    [
        ("alice", [200, 200, 200]),
        ("bob", [200, 403, 403]),
        ("charlie", [200, 200, 404]),
        ("olga", [404, 404, 404]),
    ],
)
def test_who_sees_what(client, cast, paths, who, codes):
    client.log_in(getattr(cast, who))
    assert [client.get(path).status_code for path in paths] == codes


def test_nobody_is_asked_to_log_in(client, paths):
    assert {client.get(path).location.partition("?")[0] for path in paths} == {"/login"}


def test_confirmation_breaks_the_price_down_and_names_the_targets(client, cast, factory, certificate):
    factory.target(factory.cloud_account(cast.organisation), "shop.example.com", certificate=certificate)
    client.log_in(cast.alice)
    text = client.get(f"/hosting/confirm?certificate={certificate.id}").text
    for shown in ("199.00", "270.00", "469.00", "CDN", 'name="total" value="46900"'):
        assert shown in text
    assert (certificate.not_after + timedelta(days=365)).date().isoformat() in text


def test_already_hosted_is_409_with_a_link(client, cast, factory, certificate):
    factory.hosting(certificate)
    client.log_in(cast.alice)
    answer = client.get(f"/hosting/confirm?certificate={certificate.id}")
    assert answer.status_code == 409
    assert f'href="/certificates/{certificate.id}"' in answer.text


def test_closed_window_names_the_day_in_picker_and_confirmation(client, cast, factory, certificate, now):
    made = pki.make_certificate(["far.example.com"], now=now, expires_in=timedelta(days=60))
    far = factory.certificate(cast.organisation, made)
    client.log_in(cast.alice)
    opens_on = (far.not_after - timedelta(days=15)).date().isoformat()
    assert opens_on in client.get("/hosting/add?q=far").text
    refused = client.get(f"/hosting/confirm?certificate={far.id}")
    assert refused.status_code == 422
    assert opens_on in refused.text


def test_unconfirmed_specification_leads_to_its_form(client, cast, factory, certificate, now):
    made = pki.make_certificate(["new.example.com"], now=now)
    bare = factory.certificate(cast.organisation, made, grade=None)
    client.log_in(cast.alice)
    answer = client.get(f"/hosting/confirm?certificate={bare.id}")
    assert answer.status_code == 422
    assert f"/certificates/{bare.id}/specification" in answer.text


def test_picker_leaves_out_hosted_and_expired_ones(client, cast, factory, certificate, now):
    old = pki.make_certificate(["old.example.com"], now=now, expires_in=-timedelta(days=1))
    factory.certificate(cast.organisation, old)
    factory.hosting(certificate)
    client.log_in(cast.alice)
    text = client.get("/hosting/add").text
    assert "old.example.com" not in text
    assert "shop.example.com" not in text


def test_choosing_nothing_is_refused(client, cast, certificate):
    client.log_in(cast.alice)
    assert client.get("/hosting/confirm").status_code == 422

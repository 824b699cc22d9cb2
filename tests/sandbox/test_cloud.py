"""The sandbox cloud: its interface, what it refuses, and that it remembers."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from portal.adapters.live_check import see_served
from portal.domain.certificate import sha256_of
from portal.sandbox.cloud import SandboxCloud
from portal.sandbox.cloud_store import StoreError
from tests import pki

TOKEN = "a-token"
DOMAIN = "shop.example.com"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sandbox" / "cloud"


@pytest.fixture
def cloud(folder: Path) -> Iterator[SandboxCloud]:
    made = SandboxCloud(folder, TOKEN)
    made.start()
    yield made
    made.stop()


def call(
    cloud: SandboxCloud, method: str, path: str, body: Any = None, token: str = TOKEN
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.request(method, cloud.url + path, json=body, headers=headers, timeout=5)
    return answer.status_code, answer.json()


def served(cloud: SandboxCloud, host: str = DOMAIN) -> str:
    (seen,) = see_served(host, cloud.edge_address, timeout=5, allowed_networks=("127.0.0.0/8",))
    return seen.sha256


def upload(cloud: SandboxCloud, made: pki.Made, name: str = "one") -> tuple[int, dict[str, Any]]:
    body = {"name": name, "chain": made.fullchain_pem, "key": made.key_pem}
    return call(cloud, "POST", "/v1/certificates", body)


def test_a_domain_is_added_with_its_first_certificate_and_later_gets_another(cloud: SandboxCloud) -> None:
    old, new = pki.make_certificate(), pki.make_certificate(key_type="rsa-2048")
    first = {"chain": old.fullchain_pem, "key": old.key_pem}
    assert call(cloud, "PUT", f"/v1/domains/{DOMAIN}", first)[0] == 201
    assert served(cloud) == sha256_of(old.leaf)
    status, stored = upload(cloud, new)
    assert (status, stored["sha256"]) == (201, sha256_of(new.leaf))
    bound = call(cloud, "PUT", f"/v1/domains/{DOMAIN}/certificate", {"certificate_id": stored["id"]})
    assert bound == (200, {"name": DOMAIN, "certificate_id": stored["id"], "sha256": stored["sha256"]})
    assert served(cloud) == sha256_of(new.leaf)


def test_what_is_there_is_listed(cloud: SandboxCloud) -> None:
    cloud.add_domain("Shop.Example.COM")
    cloud.add_domain(DOMAIN)
    stored = upload(cloud, pki.make_certificate())[1]
    nothing = {"name": DOMAIN, "certificate_id": None, "sha256": None}
    assert call(cloud, "GET", "/v1/domains") == (200, {"domains": [nothing]})
    assert call(cloud, "GET", f"/v1/domains/{DOMAIN}") == (200, nothing)
    assert call(cloud, "GET", "/v1/certificates") == (200, {"certificates": [stored]})


def test_everything_wants_the_token(cloud: SandboxCloud) -> None:
    for method, path in (("GET", "/v1/domains"), ("POST", "/v1/certificates"), ("PUT", "/v1/domains/x")):
        assert call(cloud, method, path, {}, token="another") == (401, {"error": "unauthorized"})


def test_a_taken_name_is_answered_with_the_certificate_that_has_it(cloud: SandboxCloud) -> None:
    first = upload(cloud, pki.make_certificate())[1]
    assert upload(cloud, pki.make_certificate()) == (409, {"error": "name_taken", **first})


@pytest.mark.parametrize(
    "chain", ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_refused(cloud: SandboxCloud, chain: str) -> None:
    body = {"name": "one", "chain": chain, "key": pki.key_pem(pki.key())}
    assert call(cloud, "POST", "/v1/certificates", body) == (422, {"error": "certificate_refused"})


def test_keys_that_do_not_fit_or_open_are_refused(cloud: SandboxCloud) -> None:
    made = pki.make_certificate()
    for key in (pki.key_pem(pki.key("ec-p256", 7)), pki.key_pem(made.key, "sealed"), "", "text"):
        body = {"name": "one", "chain": made.fullchain_pem, "key": key}
        assert call(cloud, "POST", "/v1/certificates", body) == (422, {"error": "certificate_refused"})
    assert call(cloud, "GET", "/v1/certificates") == (200, {"certificates": []})


@pytest.mark.parametrize("body", [None, [], "text", {}])
def test_a_body_that_is_no_object_is_refused(cloud: SandboxCloud, body: Any) -> None:
    assert call(cloud, "POST", "/v1/certificates", body)[0] == 422


def test_unknown_domains_and_certificates_are_named(cloud: SandboxCloud) -> None:
    stored = upload(cloud, pki.make_certificate())[1]
    gone = {"error": "domain_not_found"}
    assert call(cloud, "GET", "/v1/domains/gone.example.com") == (404, gone)
    path = "/v1/domains/gone.example.com/certificate"
    assert call(cloud, "PUT", path, {"certificate_id": stored["id"]}) == (404, gone)
    cloud.add_domain(DOMAIN)
    path = f"/v1/domains/{DOMAIN}/certificate"
    assert call(cloud, "PUT", path, {"certificate_id": "1"}) == (404, {"error": "certificate_not_found"})


def test_the_exact_name_goes_before_the_wildcard(cloud: SandboxCloud) -> None:
    wildcard, exact = pki.make_certificate(("*.example.com",)), pki.make_certificate()
    cloud.add_domain("*.example.com", wildcard.fullchain_pem, wildcard.key_pem)
    assert served(cloud) == sha256_of(wildcard.leaf)
    cloud.add_domain(DOMAIN, exact.fullchain_pem, exact.key_pem)
    assert served(cloud) == sha256_of(exact.leaf)
    assert served(cloud, "other.example.com") == sha256_of(wildcard.leaf)


def test_it_remembers_everything_over_a_restart(cloud: SandboxCloud, folder: Path) -> None:
    made = pki.make_certificate()
    cloud.add_domain(DOMAIN, made.fullchain_pem, made.key_pem)
    before = call(cloud, "GET", "/v1/domains")
    cloud.stop()
    again = SandboxCloud(folder, TOKEN)
    again.start()
    assert call(again, "GET", "/v1/domains") == before
    assert served(again) == sha256_of(made.leaf)
    again.stop()


def test_a_domain_can_be_given_another_first_certificate(cloud: SandboxCloud) -> None:
    """The demo does so on its second run."""
    for _ in range(3):
        made = pki.make_certificate()
        cloud.add_domain(DOMAIN, made.fullchain_pem, made.key_pem)
        assert served(cloud) == sha256_of(made.leaf)
    with pytest.raises(StoreError):
        cloud.add_domain(DOMAIN, "no certificate", "no key")
    assert served(cloud) == sha256_of(made.leaf)


def test_only_its_user_can_read_the_folder(cloud: SandboxCloud, folder: Path) -> None:
    upload(cloud, pki.make_certificate())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert "PRIVATE KEY" not in json.dumps(json.loads((folder / "index.json").read_text()))


def test_stopping_is_safe_to_repeat(cloud: SandboxCloud) -> None:
    cloud.stop()
    cloud.stop()

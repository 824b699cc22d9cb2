"""What private CAs publish, read by OpenSSL and over HTTP."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from flask.testing import FlaskClient
from sqlalchemy import event

from portal.domain.certificate import split_pem, to_pem
from portal.domain.keys import make_csr
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.services import ca_accounts
from tests import pki
from tests.factories import Cast, Factory

NAMES = ("intranet.example.internal",)


@pytest.fixture
def account(factory: Factory) -> CaAccount:
    return factory.ca_account("Internal")


def issue(account: CaAccount) -> tuple[x509.Certificate, ...]:
    """A chain of this CA, leaf first."""
    ca, csr = ca_accounts.connect(account), make_csr(NAMES, pki.key())
    url = ca.new_order(NAMES).url
    ca.finalize(url, csr)
    return split_pem(ca.download(url, csr))


def crl_address(leaf: x509.Certificate) -> str:
    points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (name,) = next(iter(points)).full_name or ()
    return str(name.value)


def issuer_address(leaf: x509.Certificate) -> str:
    (access,) = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    return str(access.access_location.value)


def read(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:
        body: bytes = answer.read()
    return body


def verify(leaf: x509.Certificate, folder: Path, *, root: bytes, issuer: bytes, crl: bytes) -> str:
    """What `openssl verify -crl_check` says of a leaf, with what was fetched."""
    parts = {
        "root": to_pem([x509.load_der_x509_certificate(root)]),
        "issuer": to_pem([x509.load_der_x509_certificate(issuer)]),
        "crl": x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM).decode(),
        "leaf": to_pem([leaf]),
    }
    for name, text in parts.items():
        (folder / f"{name}.pem").write_text(text)
    command = (
        "openssl verify -crl_check -x509_strict -purpose sslserver -CAfile root.pem -untrusted issuer.pem"
    )
    done = subprocess.run(
        [*command.split(), "-CRLfile", "crl.pem", "leaf.pem"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_openssl_follows_what_a_certificate_names_and_sees_it_revoked(
    live_server: str, account: CaAccount, tmp_path: Path
) -> None:
    kept, lost = (issue(account)[0] for _ in range(2))
    assert crl_address(kept) == f"{live_server}/ca/{account.id}/crl"
    ca_accounts.connect(account).revoke(to_pem([lost]), 1)
    fetched = {
        "root": read(f"{live_server}/ca/{account.id}/root.cer"),
        "issuer": read(issuer_address(kept)),
        "crl": read(crl_address(kept)),
    }
    assert verify(kept, tmp_path, **fetched).strip() == "leaf.pem: OK"
    assert "certificate revoked" in verify(lost, tmp_path, **fetched)


def test_what_was_revoked_is_listed_at_once_with_its_reason(client: FlaskClient, account: CaAccount) -> None:
    leaf = issue(account)[0]
    before = x509.load_der_x509_crl(client.get(f"/ca/{account.id}/crl").data)
    for reason in (4, 1):  # the first one stays
        ca_accounts.connect(account).revoke(to_pem([leaf]), reason)
    after = x509.load_der_x509_crl(client.get(f"/ca/{account.id}/crl").data)
    assert (len(list(before)), len(list(after))) == (0, 1)
    line = after.get_revoked_certificate_by_serial_number(leaf.serial_number)
    assert line is not None
    assert line.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.superseded
    assert number_of(after) > number_of(before)


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_each_has_its_media_type_and_may_be_cached_by_anybody(
    client: FlaskClient, account: CaAccount, cast: Cast
) -> None:
    client.log_in(cast.alice)
    kinds = {"crl": "pkix-crl", "issuer.cer": "pkix-cert", "root.cer": "pkix-cert"}
    for name, kind in kinds.items():
        answer = client.get(f"/ca/{account.id}/{name}")
        assert (answer.status_code, answer.content_type) == (200, f"application/{kind}")
        assert answer.cache_control.public
        assert answer.cache_control.max_age
        assert "Cookie" not in answer.headers["Vary"]
        assert "Set-Cookie" not in answer.headers
        same = client.get(f"/ca/{account.id}/{name}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (same.status_code, same.data) == (304, b"")


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that read whole lists."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "ca_revocations.serial" in statement:
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


@pytest.mark.databases("sqlite")
def test_a_list_is_made_anew_once_an_hour_and_not_at_every_request(
    client: FlaskClient, account: CaAccount, signed: list[str]
) -> None:
    with time_machine.travel(datetime(2026, 11, 24, 10, 1, tzinfo=UTC), tick=False) as clock:
        bodies = []
        for _ in range(3):
            bodies.append(client.get(f"/ca/{account.id}/crl").data)
            clock.shift(timedelta(minutes=5))
        clock.shift(timedelta(hours=1))
        later = x509.load_der_x509_crl(client.get(f"/ca/{account.id}/crl").data)
    assert len(set(bodies)) == 1
    assert len(signed) == 2
    assert number_of(later) > number_of(x509.load_der_x509_crl(bodies[0]))


@pytest.mark.parametrize("name", ["crl", "issuer.cer", "root.cer"])
def test_what_is_no_private_ca_publishes_nothing(client: FlaskClient, factory: Factory, name: str) -> None:
    other = factory.ca_account(kind="manual")
    assert client.get(f"/ca/{other.id}/{name}").status_code == 404
    assert client.get(f"/ca/{'0' * 32}/{name}").status_code == 404


@pytest.mark.databases("sqlite")
def test_too_many_requests_from_one_address_are_refused(client: FlaskClient, account: CaAccount) -> None:
    statuses = [client.get(f"/ca/{account.id}/issuer.cer").status_code for _ in range(601)]
    assert statuses.count(429) == 1

"""Revocation lists made for tests, and a server on loopback that hands them out as it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask, Response, request

from tests import pki
from tests.servers import listening_socket, web_server

REASONS = {
    1: x509.ReasonFlags.key_compromise,
    4: x509.ReasonFlags.superseded,
    6: x509.ReasonFlags.certificate_hold,
    8: x509.ReasonFlags.remove_from_crl,
}


def points(*urls: str) -> x509.CRLDistributionPoints:
    """The extension that names these lists, each at a point of its own."""
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in urls]
    )


def scope(url: str | None = None, *, ca_certs: bool = False, indirect: bool = False) -> x509.ExtensionType:
    """What a list says that it is about."""
    names = [x509.UniformResourceIdentifier(url)] if url else None
    return x509.IssuingDistributionPoint(
        full_name=names,
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=ca_certs,
        only_some_reasons=None,
        indirect_crl=indirect,
        only_contains_attribute_certs=False,
    )


def make_crl(
    revoked: Mapping[int, int | None],
    issuer: pki.Issuer | None = None,
    *,
    now: datetime | None = None,
    valid_for: timedelta = timedelta(days=7),
    extensions: Sequence[x509.ExtensionType] = (),
) -> bytes:
    """A list (DER) of serials with their reason codes (None: none given), issued a day before it was made."""
    issuer = issuer or pki.test_ca()
    made = (now or datetime.now(UTC)).replace(microsecond=0) - timedelta(days=1)
    lines = [_line(serial, reason, made) for serial, reason in revoked.items()]
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.certificate.subject,
        last_update=made,
        next_update=made + timedelta(days=1) + valid_for,
        revoked_certificates=lines,
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _line(serial: int, reason: int | None, at: datetime) -> x509.RevokedCertificate:
    line = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
    if reason is not None:
        line = line.add_extension(x509.CRLReason(REASONS[reason]), critical=False)
    return line.build()


@dataclass
class CrlServer:
    """Answers with `body`; a redirect to `location`, or `status`, where one is set. `asked` is what was asked for."""

    url: str
    body: bytes = b""
    etag: str | None = None
    status: int = 200
    location: str | None = None
    asked: list[str | None] = field(default_factory=list)

    def answer(self) -> Response:
        self.asked.append(request.headers.get("If-None-Match"))
        if self.location:
            return Response(status=302, headers={"Location": self.location})
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            return Response(status=304)
        headers = {"ETag": self.etag} if self.etag else {}
        return Response(self.body, self.status, headers)


@contextmanager
def crl_server() -> Iterator[CrlServer]:
    """Run one."""
    app = Flask("crls")
    with listening_socket() as listener, web_server(app, listener) as address:
        server = CrlServer(f"{address}/list.crl")
        app.add_url_rule("/list.crl", view_func=server.answer)
        yield server

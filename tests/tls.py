"""A server certificate for loopback servers of tests, under a CA of its own, strict enough for Python 3.13."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from portal.adapters.ca.private_certificates import Authority, make_authority


@dataclass(frozen=True)
class LoopbackTls:
    """PEM texts: what the server shows, its key, and what clients trust."""

    certificate: str
    key: str
    ca_bundle: str

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The files of certificate and key, in `folder`."""
        certificate, key = folder / "cert.pem", folder / "key.pem"
        certificate.write_text(self.certificate)
        key.write_text(self.key)
        return certificate, key


@functools.cache
def loopback_tls() -> LoopbackTls:
    """For 127.0.0.1 and localhost; the same one throughout a test run."""
    now = datetime.now(UTC) - timedelta(hours=1)
    root = make_authority("Loopback", now)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _leaf(root, key, now)
    return LoopbackTls(
        certificate=leaf.public_bytes(Encoding.PEM).decode(),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        ca_bundle=root.certificate.public_bytes(Encoding.PEM).decode(),
    )


def _leaf(root: Authority, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    identifier = root.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(root.key, hashes.SHA256())
    )

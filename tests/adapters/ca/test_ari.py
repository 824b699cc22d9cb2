"""Certificate identifiers for `replaces`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from portal.adapters.ca.ari import certificate_id
from tests import pki


def certificate(serial: int, *extensions: x509.ExtensionType) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(pki.key().public_key())
        .serial_number(serial)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(pki.key(), hashes.SHA256())


def test_the_example_of_the_rfc() -> None:
    """RFC 9773, 4.1."""
    authority = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    extension = x509.AuthorityKeyIdentifier(authority, None, None)
    assert certificate_id(certificate(0x87654321, extension)) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_a_serial_without_a_sign_bit_gets_no_octet_before_it() -> None:
    extension = x509.AuthorityKeyIdentifier(b"\x01\x02\x03", None, None)
    assert certificate_id(certificate(0x7F, extension)) == "AQID.fw"


def test_a_certificate_without_an_authority_has_no_identifier() -> None:
    assert certificate_id(certificate(1)) is None

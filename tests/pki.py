"""Certificates and keys made for tests. Keys of each type are made once per process: RSA is slow."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from portal.domain.certificate import PrivateKey, to_pem

_CURVES = {"ec-p256": ec.SECP256R1(), "ec-p384": ec.SECP384R1(), "ec-p521": ec.SECP521R1()}
DV_POLICY = "2.23.140.1.2.1"


def key(key_type: str = "ec-p256", number: int = 0) -> PrivateKey:
    """The `number`-th key of that type (a slug of domain.certificate.KEY_TYPES); the same one every time."""
    return _key(key_type, number)


@functools.cache
def _key(key_type: str, _number: int) -> PrivateKey:
    if curve := _CURVES.get(key_type):
        return ec.generate_private_key(curve)
    return rsa.generate_private_key(65537, int(key_type.removeprefix("rsa-")))


def key_pem(private_key: PrivateKey, passphrase: str | None = None) -> str:
    """The key as PKCS#8 PEM."""
    seal = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, seal).decode()


@dataclass(frozen=True)
class Issuer:
    """A CA for tests: a root and one intermediate, or any certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKey
    above: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True)
class Made:
    """A certificate with its key and the chain above it (without the root)."""

    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    root: x509.Certificate
    key: PrivateKey

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Leaf first."""
        return (self.leaf, *self.intermediates)

    @property
    def leaf_pem(self) -> str:
        return to_pem([self.leaf])

    @property
    def chain_pem(self) -> str:
        return to_pem(self.intermediates)

    @property
    def fullchain_pem(self) -> str:
        return to_pem(self.chain)

    @property
    def key_pem(self) -> str:
        return key_pem(self.key)


def _name(common_name: str, organisation: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def make_ca(common_name: str, parent: Issuer | None = None, number: int = 100) -> Issuer:
    """A CA certificate: self-signed, or signed by `parent`."""
    own = key("ec-p256", number)
    subject = _name(common_name, "Perennial Test CA")
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.certificate.subject if parent else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3650))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate = builder.sign(parent.key if parent else own, hashes.SHA256())
    return Issuer(certificate, own, (parent.certificate, *parent.above) if parent else ())


@functools.cache
def test_ca() -> Issuer:
    """The usual CA: an intermediate under a root."""
    return make_ca("Perennial Test Intermediate", make_ca("Perennial Test Root", number=101), number=102)


test_ca.__test__ = False  # type: ignore[attr-defined]


def make_certificate(
    names: Sequence[str] = ("shop.example.com",),
    *,
    now: datetime | None = None,
    expires_in: timedelta = timedelta(days=10),
    lifetime: timedelta = timedelta(days=199),
    key_type: str = "ec-p256",
    key_number: int = 0,
    issuer: Issuer | None = None,
    policy_oids: Sequence[str] = (DV_POLICY,),
    extensions: Sequence[x509.ExtensionType] = (),
    client_auth: bool = False,
) -> Made:
    """A leaf certificate for `names` that expires `expires_in` after `now`."""
    issuer = issuer or test_ca()
    own = key(key_type, key_number)
    not_after = (now or datetime.now(UTC)).replace(microsecond=0) + expires_in
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client_auth else [])]
    parts: list[x509.ExtensionType] = [
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.ExtendedKeyUsage(usages),
        *extensions,
    ]
    policies = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in policy_oids]
    parts += [x509.CertificatePolicies(policies)] if policies else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(names[0][:64]) if names else _name("nameless"))
        .issuer_name(issuer.certificate.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_after - lifetime)
        .not_valid_after(not_after)
    )
    for part in parts:
        builder = builder.add_extension(part, critical=False)
    intermediates = (issuer.certificate, *issuer.above[:-1]) if issuer.above else ()
    root = issuer.above[-1] if issuer.above else issuer.certificate
    return Made(builder.sign(issuer.key, hashes.SHA256()), intermediates, root, own)

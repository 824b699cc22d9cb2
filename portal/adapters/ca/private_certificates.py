"""The certificates that a private CA makes: its root, its issuing certificate, and leaves. Source: RFC 5280, 4.2."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

ROOT_LIFETIME = timedelta(days=3653)
ISSUING_LIFETIME = timedelta(days=1826)
#: RFC 5280, appendix A: ub-common-name.
LONGEST_COMMON_NAME = 64

#: What a CA publishes below its address.
CRL_PATH = "/crl"
ISSUER_PATH = "/issuer.cer"
ROOT_PATH = "/root.cer"

#: CA/B Forum's reserved policy identifiers (Baseline Requirements 7.1.6.1; EV Guidelines).
POLICIES = {"dv": "2.23.140.1.2.1", "ov": "2.23.140.1.2.2", "ev": "2.23.140.1.1"}


@dataclass(frozen=True)
class Authority:
    """A CA certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Leaf:
    """What a leaf is made of. `public_url` is where its CA publishes; without one it names no revocation list."""

    names: tuple[str, ...]
    public_key: CertificatePublicKeyTypes
    serial: int
    not_before: datetime
    not_after: datetime
    policy: str
    public_url: str | None = None


def make_authority(name: str, now: datetime, parent: Authority | None = None) -> Authority:
    """A root, or under `parent` an issuing certificate that may issue nothing but server certificates."""
    key = ec.generate_private_key(ec.SECP256R1())
    lifetime = ISSUING_LIFETIME if parent else ROOT_LIFETIME
    subject = _authority_name(name, "" if parent else " Root")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.certificate.subject if parent else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.replace(microsecond=0))
        .not_valid_after(now.replace(microsecond=0) + lifetime - timedelta(seconds=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0 if parent else 1), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if parent:
        builder = builder.add_extension(issuer_identifier_of(parent.certificate), critical=False)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    return Authority(builder.sign(parent.key if parent else key, hashes.SHA256()), key)


def make_leaf(leaf: Leaf, issuer: Authority) -> x509.Certificate:
    """A server certificate. The signature is deterministic (RFC 6979): the same leaf is the same bytes."""
    public_key = leaf.public_key
    subject = _leaf_name(leaf.names)
    policy = x509.PolicyInformation(x509.ObjectIdentifier(leaf.policy), None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(leaf.serial)
        .not_valid_before(leaf.not_before)
        .not_valid_after(leaf.not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(encipherment=isinstance(public_key, rsa.RSAPublicKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_alternative_names(leaf.names), critical=not list(subject))
        .add_extension(x509.CertificatePolicies([policy]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(issuer_identifier_of(issuer.certificate), critical=False)
    )
    if leaf.public_url is not None:
        builder = builder.add_extension(_distribution_points(leaf.public_url), critical=False)
        builder = builder.add_extension(_authority_information(leaf.public_url), critical=False)
    return builder.sign(issuer.key, hashes.SHA256(), ecdsa_deterministic=True)


def serial_for(order_url: str, public_key: CertificatePublicKeyTypes, key: bytes) -> int:
    """The serial of the one certificate that an order has for a key: 126 bits of a MAC, positive, never zero.

    It depends on the key too, so that no two certificates ever share a serial, whatever CSRs an order is sent.
    """
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hmac.digest(key, b"serial\0" + order_url.encode() + b"\0" + encoded, hashlib.sha256)
    return int.from_bytes(digest[:16], "big") >> 1 | 1 << 126


def _authority_name(name: str, suffix: str) -> x509.Name:
    room = LONGEST_COMMON_NAME - len(suffix)
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name[:LONGEST_COMMON_NAME]),
            x509.NameAttribute(NameOID.COMMON_NAME, name[:room] + suffix),
        ]
    )


def _leaf_name(names: Sequence[str]) -> x509.Name:
    """The first name that fits; where none does, the subject is empty (Baseline Requirements 7.1.2.7.2)."""
    fitting = next((name for name in names if len(name) <= LONGEST_COMMON_NAME), None)
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fitting)] if fitting else [])


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _distribution_points(public_url: str) -> x509.CRLDistributionPoints:
    """Where the revocation list is (RFC 5280, 4.2.1.13)."""
    address = x509.UniformResourceIdentifier(public_url + CRL_PATH)
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint(full_name=[address], relative_name=None, reasons=None, crl_issuer=None)]
    )


def _authority_information(public_url: str) -> x509.AuthorityInformationAccess:
    """Where the issuing certificate is (RFC 5280, 4.2.2.1)."""
    address = x509.UniformResourceIdentifier(public_url + ISSUER_PATH)
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, address)]
    )


def issuer_identifier_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The authority key identifier of what this certificate's key signs."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(*, certificates: bool = False, encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )

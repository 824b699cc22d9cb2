"""Reading certificates: from PEM text to the facts that the rules work on. Source: RFC 5280."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from portal.domain.errors import DomainError

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

#: Key types that certificates here may have; the slug is what is stored.
KEY_TYPES = ("rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ec-p521")
_CURVES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384", "secp521r1": "ec-p521"}

#: What cryptography raises for certificates that are odd rather than wrong (see reliability.md, rule 7).
ODD_CERTIFICATE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
    x509.DuplicateExtension,
)

LONGEST_CHAIN = 10
_PEM_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----")


@dataclass(frozen=True)
class CertificateFacts:
    """What a leaf certificate says. Names are lower-case A-labels; `serial` and `sha256` are lower-case hex."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    sha256: str
    key_type: str
    issuer: str
    policy_oids: tuple[str, ...]
    is_precertificate: bool
    has_client_auth: bool

    @property
    def lifetime(self) -> timedelta:
        return self.not_after - self.not_before


def split_pem(text: str) -> tuple[x509.Certificate, ...]:
    """The certificates in a PEM text, in its order.

    Raises DomainError: no_certificate (no block at all), broken_pem (a block that does not decode), chain_too_long.
    """
    blocks = _PEM_BLOCK.findall(text)
    if not blocks:
        raise DomainError("broken_pem" if "-----BEGIN CERTIFICATE" in text else "no_certificate")
    if len(blocks) > LONGEST_CHAIN:
        raise DomainError("chain_too_long", most=LONGEST_CHAIN)
    if text.count("-----BEGIN CERTIFICATE-----") != len(blocks):
        raise DomainError("broken_pem")
    try:
        return tuple(x509.load_pem_x509_certificate(block.encode()) for block in blocks)
    except ODD_CERTIFICATE:
        raise DomainError("broken_pem") from None


def order_chain(certificates: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Leaf first, each followed by its issuer; repeated ones are dropped, and so is a self-signed root behind others.

    Raises DomainError: no_leaf, several_leaves, chain_has_strangers (a certificate that issued none of the others).
    """
    unique = list(dict.fromkeys(certificates))
    leaf = _find_leaf(unique)
    ordered, rest = [leaf], [one for one in unique if one is not leaf]
    while rest:
        issuer = next((one for one in rest if is_issued_by(ordered[-1], one)), None)
        if issuer is None:
            raise DomainError("chain_has_strangers")
        ordered.append(issuer)
        rest.remove(issuer)
    if len(ordered) > 1 and ordered[-1].issuer == ordered[-1].subject:
        ordered.pop()
    return tuple(ordered)


def _find_leaf(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    if len(certificates) == 1:
        return certificates[0]
    leaves = [one for one in certificates if not _issued_any(one, certificates)]
    if not leaves:
        raise DomainError("no_leaf")
    if len(leaves) > 1:
        ends = [one for one in leaves if not is_ca(one)]
        raise DomainError("several_leaves" if len(ends) > 1 else "chain_has_strangers")
    return leaves[0]


def _issued_any(issuer: x509.Certificate, certificates: Sequence[x509.Certificate]) -> bool:
    return any(is_issued_by(one, issuer) for one in certificates if one is not issuer)


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether the basic constraints call it a CA (RFC 5280, 4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *ODD_CERTIFICATE):
        return False


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed `certificate`: its name matches and the signature holds."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *ODD_CERTIFICATE):
        return False
    return True


def key_type_of(public_key: PublicKeyTypes) -> str:
    """The slug of a key's type. Raises DomainError("unsupported_key_type") for what cannot be hosted."""
    if isinstance(public_key, rsa.RSAPublicKey):
        slug = f"rsa-{public_key.key_size}"
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        slug = _CURVES.get(public_key.curve.name, public_key.curve.name)
    else:
        slug = type(public_key).__name__
    if slug not in KEY_TYPES:
        raise DomainError("unsupported_key_type", key_type=slug)
    return slug


def read_facts(certificate: x509.Certificate) -> CertificateFacts:
    """Everything the rules ask of a leaf.

    Raises DomainError: no_names, is_ca_certificate, unsupported_key_type, broken_pem (something does not parse).
    """
    try:
        return _read_facts(certificate)
    except ODD_CERTIFICATE:
        raise DomainError("broken_pem") from None


def _read_facts(certificate: x509.Certificate) -> CertificateFacts:
    names = dns_names(certificate)
    if is_ca(certificate) and not _serves_itself(certificate, names):
        raise DomainError("is_ca_certificate")
    if not names:
        raise DomainError("no_names")
    return CertificateFacts(
        names=names,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
        sha256=sha256_of(certificate),
        key_type=key_type_of(certificate.public_key()),
        issuer=_issuer_name(certificate),
        policy_oids=_policy_oids(certificate),
        is_precertificate=_has(certificate, ExtensionOID.PRECERT_POISON),
        has_client_auth=_has_client_auth(certificate),
    )


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names of a certificate, lower-case, without repeats; the common name only where it has no SAN."""
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = san.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        names = [name for name in names if re.fullmatch(r"(\*\.)?[A-Za-z0-9.-]+", name)]
    return tuple(dict.fromkeys(name.lower() for name in names))


def _serves_itself(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    """Whether a CA certificate is really a website's self-signed one: common tools mark those as CAs unasked."""
    has_san = _has(certificate, ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    return certificate.issuer == certificate.subject and any(
        has_san or "." in name or name == "localhost" for name in names
    )


def sha256_of(certificate: x509.Certificate) -> str:
    """The SHA-256 of the DER, as lower-case hex."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def to_pem(certificates: Sequence[x509.Certificate]) -> str:
    """PEM blocks one after another, without blank lines between them."""
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def same_public_key(one: PublicKeyTypes, other: PublicKeyTypes) -> bool:
    """Whether two public keys are the same key."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return one.public_bytes(*form) == other.public_bytes(*form)


def _has(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> bool:
    try:
        certificate.extensions.get_extension_for_oid(oid)
    except x509.ExtensionNotFound:
        return False
    return True


def _has_client_auth(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages


def _issuer_name(certificate: x509.Certificate) -> str:
    oids = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    parts = [str(part.value) for oid in oids for part in certificate.issuer.get_attributes_for_oid(oid)]
    return ", ".join(parts)


def _policy_oids(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        policies = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(policy.policy_identifier.dotted_string for policy in policies)

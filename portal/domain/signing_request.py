"""Reading a customer's certificate signing request (RFC 2986): what it asks for, and whether that can be had."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from portal.domain.certificate import ODD_CERTIFICATE, key_type_of
from portal.domain.errors import DomainError

#: Key types that public CAs certify, and that coming renewals may have.
OFFERED_KEY_TYPES = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096")

#: A CSR for a hundred names with the largest key is far smaller.
LONGEST_CSR = 32 * 1024

_BLOCK = re.compile(
    r"-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+?-----END (?:NEW )?CERTIFICATE REQUEST-----"
)


def read_csr(text: str, names: Sequence[str]) -> str:
    """The CSR in a text, as tidy PEM: signed by its key, of a key type that is offered, for these names and no others.

    Raises DomainError: csr_none, csr_several, csr_broken, csr_not_signed, csr_key_type, csr_names, csr_private_key.
    """
    if "PRIVATE KEY-----" in text:
        raise DomainError("csr_private_key")
    blocks = _BLOCK.findall(text) if len(text) <= LONGEST_CSR else []
    if len(blocks) != 1:
        raise DomainError("csr_several" if blocks else "csr_none")
    try:
        csr = x509.load_pem_x509_csr(blocks[0].encode())
        is_signed, public_key, asked = csr.is_signature_valid, csr.public_key(), _names_of(csr)
    except InvalidSignature:
        raise DomainError("csr_not_signed") from None
    except ODD_CERTIFICATE:
        raise DomainError("csr_broken") from None
    if not is_signed:
        raise DomainError("csr_not_signed")
    _check_key(public_key)
    _check_names(asked, names)
    return csr.public_bytes(Encoding.PEM).decode()


def _names_of(csr: x509.CertificateSigningRequest) -> set[str]:
    """Every name that it asks for: DNS names, anything else in its own words, and the common name."""
    asked = {str(part.value).lower() for part in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        san = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return asked
    dns = {name.lower() for name in san.get_values_for_type(x509.DNSName)}
    others = {str(name.value) for name in san if not isinstance(name, x509.DNSName)}
    return asked | dns | others


def _check_key(public_key: PublicKeyTypes) -> None:
    try:
        key_type = key_type_of(public_key)
    except DomainError:
        key_type = ""
    if key_type not in OFFERED_KEY_TYPES:
        raise DomainError("csr_key_type")


def _check_names(asked: set[str], names: Sequence[str]) -> None:
    missing, extra = sorted(set(names) - asked), sorted(asked - set(names))
    if missing or extra:
        raise DomainError("csr_names", missing=_listed(missing), extra=_listed(extra))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join("".join(filter(str.isprintable, name))[:80] for name in names[:5])
    return shown + (" …" if len(names) > 5 else "") or "—"

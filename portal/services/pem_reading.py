"""From what somebody pasted or chose as a file to a leaf with its chain; each way it can be wrong has its own name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from portal.domain.certificate import CertificateFacts, order_chain, read_facts, split_pem
from portal.domain.errors import DomainError

#: What a text turns out to be when it is not a certificate: PEM labels (RFC 7468), the most telling first.
OTHER_LABELS = (
    ("CERTIFICATE REQUEST", "is_csr"),
    ("PKCS7", "is_pkcs7"),
    ("CMS", "is_pkcs7"),
    ("PRIVATE KEY", "is_private_key"),
    ("PUBLIC KEY", "is_public_key"),
    ("X509 CRL", "is_crl"),
)
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?")
_PKCS12_VERSION = b"\x02\x01\x03"


@dataclass(frozen=True)
class ReadChain:
    """Leaf first; `facts` are the leaf's. `was_reordered` says that the text had them in another order."""

    chain: tuple[x509.Certificate, ...]
    facts: CertificateFacts
    was_reordered: bool


def text_of(data: bytes) -> str:
    """A file's text. Raises DomainError for binary forms: is_pkcs12, is_der, not_text."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data[:1] == b"\x30":
        raise DomainError("is_pkcs12" if _PKCS12_VERSION in data[:8] else "is_der")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if b"\0" in data:
        raise DomainError("not_text")
    return data.decode("utf-8", "replace")


def read_chain(text: str, now: datetime) -> ReadChain:
    """The certificate in a PEM text with the chain it came with, in whatever order.

    Raises DomainError: the codes of split_pem, order_chain and read_facts; is_csr, is_pkcs7, is_private_key,
    is_public_key, is_crl; is_precertificate, unusable_name, certificate_expired.
    """
    given = _certificates_in(text)
    chain = order_chain(given)
    facts = read_facts(chain[0])
    if facts.is_precertificate:
        raise DomainError("is_precertificate")
    _check_names(facts.names)
    if now >= facts.not_after:
        raise DomainError("certificate_expired", on=facts.not_after.date().isoformat())
    return ReadChain(chain, facts, was_reordered=tuple(dict.fromkeys(given))[: len(chain)] != chain)


def _certificates_in(text: str) -> Sequence[x509.Certificate]:
    if "-----BEGIN CERTIFICATE-----" not in text:
        for label, code in OTHER_LABELS:
            if re.search(rf"-----BEGIN [A-Z0-9 ]*{label}-----", text):
                raise DomainError(code)
    return split_pem(text)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if len(name) > 253 or not _NAME.fullmatch(name):
            raise DomainError("unusable_name", name="".join(filter(str.isprintable, name))[:80])

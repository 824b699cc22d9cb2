"""Revocation lists: which one a certificate names, and what its lines mean (RFC 5280, 4.2.1.13 and 5)."""

from __future__ import annotations

from cryptography import x509

from portal.domain.certificate import ODD_CERTIFICATE

LONGEST_URL = 2000

#: Reason codes (RFC 5280, 5.3.1). HOLD may be taken back; REMOVE takes one back, in a list of changes alone.
HOLD = 6
REMOVE = 8


def crl_url_of(leaf: x509.Certificate) -> str | None:
    """The first http(s) address of a complete list of the certificate's own issuer; None where it names none."""
    try:
        points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, *ODD_CERTIFICATE):
        return None
    whole = (point for point in points if point.full_name and not point.crl_issuer and not point.reasons)
    urls = (str(name.value) for point in whole for name in point.full_name or () if _is_address(name))
    return next(urls, None)


def _is_address(name: x509.GeneralName) -> bool:
    if not isinstance(name, x509.UniformResourceIdentifier):
        return False
    text = name.value
    return text.isascii() and text.isprintable() and len(text) <= LONGEST_URL and _is_web(text.lower())


def _is_web(text: str) -> bool:
    return text.startswith(("http://", "https://"))

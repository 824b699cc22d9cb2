"""The name under which a CA knows a certificate that a new order replaces. Source: RFC 9773, 4.1."""

from __future__ import annotations

import base64

from cryptography import x509


def certificate_id(leaf: x509.Certificate) -> str | None:
    """Authority key identifier and serial number; None for a certificate that has no such identifier.

    Only for a certificate that the same account issued: naming another one is refused, or silences its owner's notices.
    """
    try:
        authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError):
        return None
    if authority is None:
        return None
    serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
    return f"{_base64url(authority)}.{_base64url(serial)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

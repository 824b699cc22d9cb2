"""Orders of the private CA: each URL carries its whole order under a MAC, so that any host can carry it on."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from portal.adapters.errors import AdapterError

PREFIX = "urn:perennial:order:"
#: How long an order can be carried on, and its certificate be fetched again.
LIFETIME = timedelta(days=7)


@dataclass(frozen=True)
class Terms:
    """What the settings say of a certificate. An order keeps those of its own day, whatever is set later.

    `policy` is an OID; `public_url` is where the revocation list and the issuing certificate are published.
    """

    validity: timedelta
    policy: str
    public_url: str | None


@dataclass(frozen=True)
class PrivateOrder:
    """What was ordered, on which terms, and when (whole seconds, UTC)."""

    url: str
    names: tuple[str, ...]
    terms: Terms
    created_at: datetime

    def has_expired(self, now: datetime) -> bool:
        return now >= self.created_at + LIFETIME


def place(names: Sequence[str], terms: Terms, key: bytes, now: datetime) -> PrivateOrder:
    """A new order; two for the same names differ."""
    created_at = now.replace(microsecond=0)
    content = {
        "names": list(names),
        "at": int(created_at.timestamp()),
        "nonce": secrets.token_hex(8),
        "for": terms.validity.total_seconds(),
        "policy": terms.policy,
        "url": terms.public_url,
    }
    token = _encode(json.dumps(content, separators=(",", ":")).encode())
    return PrivateOrder(f"{PREFIX}{token}.{_encode(_mac(token, key))}", tuple(names), terms, created_at)


def read(url: str, key: bytes, otherwise: Terms) -> PrivateOrder:
    """The order behind a URL; one placed before orders kept their terms has the terms given here.

    Raises AdapterError("ca_order_gone") for one that this CA did not make.
    """
    token, _, seal = url.removeprefix(PREFIX).partition(".")
    try:
        genuine = url.startswith(PREFIX) and hmac.compare_digest(_decode(seal), _mac(token, key))
    except (ValueError, binascii.Error):
        genuine = False
    if not genuine:
        raise AdapterError("ca_order_gone", permanent=False)
    content = json.loads(_decode(token))
    terms = otherwise
    if "policy" in content:
        terms = Terms(timedelta(seconds=content["for"]), content["policy"], content["url"])
    return PrivateOrder(url, tuple(content["names"]), terms, datetime.fromtimestamp(content["at"], UTC))


def _mac(token: str, key: bytes) -> bytes:
    return hmac.digest(key, token.encode(), hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """Strict: one text only stands for given bytes."""
    data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if _encode(data) != text:
        raise ValueError("not canonical base64url")
    return data

"""Checking ACS3-HMAC-SHA256 signatures as the service does, from its documentation and not from the SDK's code.

Source: "V3 version request body and signature mechanism", Alibaba Cloud OpenAPI. A signature covers method, path,
canonical query, the signed headers and the SHA-256 of the body; timestamps are good for 15 minutes, nonces once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

_WINDOW = timedelta(minutes=15)
_AUTHORIZATION = re.compile(
    r"ACS3-HMAC-SHA256 Credential=(?P<key_id>[^,]+),SignedHeaders=(?P<names>[^,]+),"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
#: Headers that must be signed where they are sent.
_MUST_SIGN = re.compile(r"host|content-type|x-acs-.+")


class Refusal(Exception):
    """The request is refused with this HTTP status and error code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Request:
    """What a signature is computed over; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Signatures:
    """Knows the access keys (id → secret) and the nonces that were used."""

    keys: dict[str, str]
    inactive: set[str] = field(default_factory=set)
    nonces: set[str] = field(default_factory=set)

    def check(self, request: Request) -> None:
        """Raises Refusal."""
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            raise Refusal(400, "IncompleteSignature")
        secret = self.keys.get(found["key_id"])
        if secret is None:
            raise Refusal(404, "InvalidAccessKeyId.NotFound")
        if found["key_id"] in self.inactive:
            raise Refusal(403, "InvalidAccessKeyId.Inactive")
        self._check_time(request)
        if hashlib.sha256(request.body).hexdigest() != request.headers.get("x-acs-content-sha256"):
            raise Refusal(400, "SignatureDoesNotMatch")
        names = found["names"].split(";")
        if not {name for name in request.headers if _MUST_SIGN.fullmatch(name)} <= set(names):
            raise Refusal(400, "SignatureDoesNotMatch")
        if not hmac.compare_digest(signature_of(request, names, secret), found["signature"]):
            raise Refusal(400, "SignatureDoesNotMatch")
        self._use_nonce(request)

    def _check_time(self, request: Request) -> None:
        try:
            sent = datetime.strptime(request.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except (KeyError, ValueError):
            raise Refusal(400, "InvalidTimeStamp.Format") from None
        if abs(datetime.now(UTC) - sent) > _WINDOW:
            raise Refusal(400, "InvalidTimeStamp.Expired")

    def _use_nonce(self, request: Request) -> None:
        nonce = request.headers.get("x-acs-signature-nonce", "")
        if not nonce or nonce in self.nonces:
            raise Refusal(400, "SignatureNonceUsed")
        self.nonces.add(nonce)


def signature_of(request: Request, signed_names: list[str], secret: str) -> str:
    """The hex signature of a request. A signed header that was not sent counts as empty."""
    canonical = "\n".join(
        (
            request.method,
            request.path or "/",
            canonical_query(request.query),
            "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in sorted(signed_names)),
            ";".join(sorted(signed_names)),
            request.headers.get("x-acs-content-sha256", ""),
        )
    )
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def canonical_query(query: str) -> str:
    """Parameters sorted by name, RFC 3986 encoded (a space is %20)."""
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)

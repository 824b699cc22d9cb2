"""Reading what an ACME server answers, leniently: unknown challenge types and fields are passed over.

Source: RFC 8555, 7.1.1 (directory), 7.1.3 (orders) and 7.1.4 (authorizations); RFC 9773, 4.2 (renewal information).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from acme import challenges
from josepy.json_util import decode_b64jose
from josepy.jwk import JWK

from portal.adapters.ca.acme_errors import describe, retry_at, unavailable
from portal.adapters.ca.acme_http import Reply
from portal.adapters.ca.base import (
    Authorization,
    CaOrder,
    CaOrderState,
    Challenge,
    ChallengeKind,
    RenewalInfo,
)

#: Tokens become file names and DNS values: base64url alone (8.1), and at least 128 bits of it.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,256}")
_MOST_AUTHORIZATIONS = 200
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MOST_IDENTITIES = 20
_LONGEST_URL = 500


@dataclass(frozen=True)
class OrderBody:
    """An order as one answer shows it: its authorizations are addresses yet."""

    state: CaOrderState
    authorizations: tuple[str, ...]
    finalize: str | None
    certificate: str | None
    error: str | None
    retry_at: datetime | None

    def as_order(self, url: str, authorizations: tuple[Authorization, ...] = ()) -> CaOrder:
        return CaOrder(url, self.state, authorizations, self.retry_at, self.error)


def read_order(reply: Reply) -> OrderBody:
    """Raises AdapterError(ca_unavailable) for what is no order."""
    document = reply.json()
    status, urls = document.get("status"), document.get("authorizations", [])
    if status not in list(CaOrderState) or not isinstance(urls, list) or len(urls) > _MOST_AUTHORIZATIONS:
        raise unavailable("the answer is no order")
    return OrderBody(
        state=CaOrderState(status),
        authorizations=tuple(str(url) for url in urls),
        finalize=_text(document, "finalize"),
        certificate=_text(document, "certificate"),
        error=describe(document.get("error")),
        retry_at=retry_at(reply.headers),
    )


def read_texts(reply: Reply, field: str) -> tuple[str, ...]:
    """A list of texts in an answer; empty where there is none."""
    listed = reply.json().get(field)
    return tuple(str(one) for one in listed[:_MOST_AUTHORIZATIONS]) if isinstance(listed, list) else ()


def read_authorization(reply: Reply, url: str, key: JWK) -> Authorization:
    """`key` is the account key, which the proofs are made with. Raises AdapterError(ca_unavailable)."""
    document = reply.json()
    identifier, offered = document.get("identifier"), document.get("challenges")
    name = identifier.get("value") if isinstance(identifier, dict) else None
    if not isinstance(name, str) or not isinstance(offered, list) or not _text(document, "status"):
        raise unavailable("the answer is no authorization")
    entries = [entry for entry in offered if isinstance(entry, dict)]
    errors = [text for entry in entries if (text := describe(entry.get("error")))]
    return Authorization(
        name=name.removeprefix("*.").lower(),
        url=url,
        state=str(document["status"]),
        is_wildcard=document.get("wildcard") is True or name.startswith("*."),
        challenges=tuple(made for entry in entries if (made := _read_challenge(entry, key)) is not None),
        error=errors[0] if errors else None,
    )


def _read_challenge(entry: dict[str, Any], key: JWK) -> Challenge | None:
    kind, url, token = (_text(entry, field) for field in ("type", "url", "token"))
    if kind not in list(ChallengeKind) or url is None or token is None or not _TOKEN.fullmatch(token):
        return None
    proof = challenges.DNS01(token=decode_b64jose(token))
    return Challenge(
        kind=ChallengeKind(kind),
        url=url,
        token=token,
        key_authorization=proof.key_authorization(key),
        dns_value=proof.validation(key),
    )


def read_identities(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """The domains that CAA records name the CA by; whatever is no domain is passed over."""
    listed = meta.get("caaIdentities")
    texts = [str(one).lower().rstrip(".") for one in listed] if isinstance(listed, list) else []
    return tuple(one for one in texts[:_MOST_IDENTITIES] if _DOMAIN.fullmatch(one))


def read_renewal_info(reply: Reply) -> RenewalInfo | None:
    """A suggested window; None where the answer holds none that begins before it ends."""
    window = reply.json().get("suggestedWindow")
    fields = window if isinstance(window, dict) else {}
    start, end = (_moment(fields.get(name)) for name in ("start", "end"))
    if start is None or end is None or start >= end:
        return None
    return RenewalInfo(start, end, _web_address(reply.json()), retry_at(reply.headers))


def _moment(text: object) -> datetime | None:
    """A timestamp of RFC 3339, which always has a zone."""
    try:
        found = datetime.fromisoformat(str(text).upper())
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _web_address(document: dict[str, Any]) -> str | None:
    """Where the CA explains its window; people may be shown it as a link."""
    url = _text(document, "explanationURL") or ""
    try:
        is_web = urlsplit(url).scheme == "https" and bool(urlsplit(url).hostname)
    except ValueError:
        is_web = False
    return url if is_web and len(url) <= _LONGEST_URL and url.isprintable() else None


def _text(document: dict[str, Any], field: str) -> str | None:
    value = document.get(field)
    return value if isinstance(value, str) and value else None

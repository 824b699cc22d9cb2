"""Fetching a revocation list from the address that a certificate names: a stranger's, until proved otherwise."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import requests

from portal.adapters import outbound
from portal.adapters.errors import AdapterError

MOST_BYTES = 20 * 1024 * 1024
MOST_SECONDS = 60.0
MOST_REDIRECTS = 3
_CHUNK = 65_536


@dataclass(frozen=True)
class Fetched:
    """`is_unchanged` where the other side says that it still is what `etag` named: nothing was written then."""

    is_unchanged: bool
    etag: str | None


def fetch(
    url: str,
    etag: str | None,
    target: BinaryIO,
    *,
    timeout: float,
    allowed_networks: tuple[str, ...],
    most_bytes: int = MOST_BYTES,
) -> Fetched:
    """Write the list into `target`. Every hop of a redirect is looked at like the first address.

    Raises AdapterError: crl_unavailable, outbound_unreachable (temporary), crl_too_large, outbound_address_forbidden
    (permanent).
    """
    deadline = time.monotonic() + MOST_SECONDS
    with outbound.session(timeout=timeout, allowed_networks=allowed_networks) as session:
        try:
            answer = _ask(session, url, etag)
            with answer:
                if answer.status_code == requests.codes.not_modified and etag:
                    return Fetched(is_unchanged=True, etag=etag)
                if answer.status_code != requests.codes.ok:
                    raise _unavailable(f"HTTP {answer.status_code}")
                _copy(answer, target, most_bytes, deadline)
                return Fetched(is_unchanged=False, etag=_etag_of(answer))
        except (requests.RequestException, ValueError) as error:
            raise _unavailable(type(error).__name__) from None


def _ask(session: requests.Session, url: str, etag: str | None) -> requests.Response:
    headers = {"If-None-Match": etag} if etag else {}
    for _ in range(MOST_REDIRECTS + 1):
        if urlsplit(url).scheme not in ("http", "https"):
            raise _unavailable("redirected")
        answer = session.get(url, headers=headers, stream=True, allow_redirects=False)
        if not answer.is_redirect:
            return answer
        answer.close()
        url = urljoin(url, answer.headers["Location"])
    raise _unavailable("redirected")


def _copy(answer: requests.Response, target: BinaryIO, most_bytes: int, deadline: float) -> None:
    """Stop at the first byte too many, or when it takes too long, however slowly it trickles."""
    size = 0
    for chunk in answer.iter_content(_CHUNK):
        size += len(chunk)
        if size > most_bytes:
            raise AdapterError("crl_too_large", permanent=True, mib=most_bytes // 1024**2)
        if time.monotonic() > deadline:
            raise _unavailable("too slow")
        target.write(chunk)


def _etag_of(answer: requests.Response) -> str | None:
    etag = answer.headers.get("ETag", "")
    return etag if 0 < len(etag) <= 255 and etag.isascii() and etag.isprintable() else None


def _unavailable(detail: str) -> AdapterError:
    return AdapterError("crl_unavailable", permanent=False, detail=detail)

"""One kept HTTPS connection to an ACME server, with a limit to everything: time, size, and where it may lead."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, SSLError

from portal.adapters.ca.acme_errors import refused, unavailable

#: Chains of ten certificates stay well below.
LARGEST_ANSWER = 256 * 1024
_CHUNK = 64 * 1024
_HEADERS = {"User-Agent": "perennial", "Accept-Language": "en", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The JSON object in it. Raises AdapterError(ca_unavailable)."""
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise unavailable("the answer is no JSON object")
        return value


class AcmeConnection:
    """Speaks to the directory's own host alone: an address in an answer cannot make us ask anyone else.

    No redirects, no proxies, no cookies. `ca_bundle` (PEM text) replaces the system's trusted roots.
    """

    def __init__(self, directory_url: str, ca_bundle: str | None = None) -> None:
        parts = urlsplit(directory_url)
        if parts.scheme != "https" or not parts.hostname:
            raise refused("the directory URL does not start with https://")
        self._origin = _origin(directory_url)
        self._pool = HTTPSConnectionPool(
            parts.hostname, parts.port or 443, maxsize=1, ssl_context=_tls_context(ca_bundle)
        )

    def is_ours(self, url: str) -> bool:
        """Whether `url` is on the directory's host."""
        return _origin(url) == self._origin

    def check(self, url: str) -> None:
        """Raises AdapterError(ca_refused) for an address elsewhere."""
        if not self.is_ours(url):
            raise refused("an address in the CA's answer is not on the directory's host")

    def send(self, method: str, url: str, deadline: float, body: bytes | None = None) -> Reply:
        """One exchange, done by `deadline` (monotonic clock). Raises AdapterError."""
        self.check(url)
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise unavailable("the CA took too long")
        headers = _HEADERS | ({"Content-Type": "application/jose+json"} if body is not None else {})
        try:
            response = self._pool.urlopen(
                method, _target(url), body=body, headers=headers, timeout=remaining,
                retries=False, redirect=False, preload_content=False, decode_content=False,
            )  # fmt: skip
            return Reply(response.status, response.headers, _read(response, deadline))
        except SSLError:
            raise unavailable(
                "the TLS handshake failed: certificate not trusted, or no common protocol"
            ) from None
        except HTTPError as error:
            raise unavailable(f"no answer ({type(error).__name__})") from None

    def close(self) -> None:
        self._pool.close()


def _read(response: BaseHTTPResponse, deadline: float) -> bytes:
    """The whole body; the connection goes back to be used again, or is closed if anything is wrong."""
    parts: list[bytes] = []
    size = 0
    try:
        while chunk := response.read(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise unavailable("the answer is too large")
            if time.monotonic() > deadline:
                raise unavailable("the CA took too long")
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return b"".join(parts)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no plain https address."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca_bundle or None)
    except (ssl.SSLError, ValueError):
        raise refused("the CA bundle is not PEM") from None

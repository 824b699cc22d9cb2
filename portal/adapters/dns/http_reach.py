"""Whether a CA would read our answer at a name over HTTP (RFC 8555, 8.3), as public CAs go about it.

Redirects are followed as the CA/B Forum's baseline requirements allow (3.2.2.4.19: 301, 302, 307, 308; http and
https) and as Let's Encrypt does (ports 80 and 443, at most ten, to names and not to addresses, certificates unchecked).
Every hop is looked at by `outbound` before it is connected to.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from portal.adapters import outbound
from portal.adapters.errors import AdapterError

PATH = "/.well-known/acme-challenge/"
MOST_REDIRECTS = 10
_FOLLOWED = frozenset({301, 302, 307, 308})
#: A key authorization has some 90 octets; what is longer is a page.
_MOST_OCTETS = 1024


@dataclass(frozen=True)
class Ports:
    """Where names are asked; other than 80 and 443 in tests and behind test CAs alone."""

    http: int = 80
    https: int = 443


class _Odd(Exception):
    """What came is no answer that a CA would accept."""

    def __init__(self, code: str, **params: str | int) -> None:
        super().__init__(code)
        self.error = AdapterError(code, permanent=True)
        self.error.params = params


def check_reach(
    name: str,
    token: str,
    expected: str,
    *,
    timeout: float,
    allowed_networks: Sequence[str] = (),
    ports: Ports | None = None,
) -> None:
    """Read the answer for `token` at `name` and compare it; returns if it is the `expected` one.

    `timeout` (seconds) is for the whole. Raises AdapterError, all permanent: http_unreachable, http_wrong_answer,
    http_redirect_refused, http_address_forbidden; each with name, and url (the hop that it happened at).
    """
    hunt = _Hunt(time.monotonic() + timeout, tuple(allowed_networks), ports or Ports())
    try:
        hunt.follow(f"http://{name}{PATH}{token}", expected)
    except _Odd as odd:
        odd.error.params = {"name": name, **odd.error.params}
        raise odd.error from None


@dataclass(frozen=True)
class _Hunt:
    deadline: float
    allowed_networks: tuple[str, ...]
    ports: Ports

    def follow(self, url: str, expected: str) -> None:
        for _ in range(MOST_REDIRECTS + 1):
            status, location, body = self._fetch(url)
            if status not in _FOLLOWED:
                if status != 200 or body.rstrip() != expected.encode():
                    raise _Odd("http_wrong_answer", url=url, status=status)
                return
            url = self._next(url, location)
        raise _Odd("http_redirect_refused", url=url)

    def _next(self, url: str, location: str | None) -> str:
        """Where a redirect leads, if a CA would go there."""
        try:
            target = urljoin(url, location or "")
            parts = urlsplit(target)
            is_good = parts.scheme in {"http", "https"} and not _is_address(parts.hostname or "")
            if location and is_good and self._port(parts) in {self.ports.http, self.ports.https}:
                return target
        except ValueError:
            pass  # a port or an address that is none: refused like all else
        raise _Odd("http_redirect_refused", url=url, target=(location or "")[:300])

    def _port(self, parts: SplitResult) -> int:
        return parts.port or (self.ports.https if parts.scheme == "https" else self.ports.http)

    def _fetch(self, url: str) -> tuple[int, str | None, bytes]:
        """One exchange: status, Location, and the beginning of the body."""
        parts = urlsplit(url)
        try:
            with self._connected(parts) as stream:
                exchange = http.client.HTTPConnection(parts.hostname or "", self._port(parts))
                exchange.sock = stream
                target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
                exchange.request("GET", target, headers={"Host": parts.netloc, "Connection": "close"})
                with exchange.getresponse() as answer:
                    body = answer.read(_MOST_OCTETS)
                    if time.monotonic() >= self.deadline:
                        raise TimeoutError
                    return answer.status, answer.getheader("Location"), body
        except AdapterError as error:
            code = "http_address_forbidden" if error.permanent else "http_unreachable"
            raise _Odd(code, url=url, **error.params) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _Odd("http_unreachable", url=url, detail=type(error).__name__) from None

    @contextmanager
    def _connected(self, parts: SplitResult) -> Iterator[socket.socket]:
        """A guarded connection that is cut at the deadline, however slowly the other side talks."""
        host = parts.hostname or ""
        plain = self._dial(host, self._port(parts))
        left = self._left()
        line = plain.dup()
        cut = threading.Timer(left, _hang_up, (line,))
        cut.daemon = True
        cut.start()
        try:
            stream = (
                _unchecked_tls().wrap_socket(plain, server_hostname=host)
                if parts.scheme == "https"
                else plain
            )
            with stream:
                yield stream
        finally:
            cut.cancel()
            line.close()
            plain.close()

    def _dial(self, host: str, port: int) -> socket.socket:
        """The first address that answers before the deadline."""
        found = outbound.resolve(host, port, timeout=self._left(), allowed_networks=self.allowed_networks)
        for endpoint in found:
            try:
                return outbound.dial(endpoint, self._left())
            except OSError:
                continue
        raise AdapterError("http_unreachable", permanent=False, host=host)

    def _left(self) -> float:
        """Seconds until the deadline, never none: a socket without a timeout would wait for ever."""
        return max(self.deadline - time.monotonic(), 0.01)


def _hang_up(line: socket.socket) -> None:
    """Whoever reads from this connection is told that it is over."""
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _unchecked_tls() -> ssl.SSLContext:
    """CAs do not check the certificate of a redirect's target: the one they are about to replace may have expired."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return not host
    return True

"""The one way out to an address that a customer or a CA named (webhooks, live checks, prechecks, URLs in answers).

Every address a name resolves to is looked at before any of them is connected to, and the connection goes to the
address that was looked at: a name that answers differently the second time gains nothing. What is refused: anything
not globally routable (unless its network is allowed by the settings), translated and tunnelled IPv6 that hides an
IPv4 address, and the metadata services of clouds, which no setting allows.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from portal.adapters.errors import AdapterError

UNREACHABLE = "outbound_unreachable"
FORBIDDEN = "outbound_address_forbidden"

#: More addresses than any sane name has; whatever lies beyond is not looked at and not connected to.
MOST_ADDRESSES = 16

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Never, whatever the settings allow: metadata services, and ranges that carry an IPv4 address inside an IPv6 one.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.100.100.200/32",
        "169.254.169.254/32",
        "fd00:ec2::254/128",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
    )
)
_GLOBAL_UNICAST_V6 = ipaddress.ip_network("2000::/3")
_LOOPBACK_V6 = ipaddress.ip_address("::1")


@dataclass(frozen=True)
class Endpoint:
    """An address that was looked at and may be connected to."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def is_permitted(ip: str, allowed_networks: Sequence[str] = ()) -> bool:
    """Whether a connection to this address may be made. `allowed_networks` are CIDR texts."""
    address: IpAddress = ipaddress.ip_address(ip.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address != _LOOPBACK_V6 and any(address in network for network in _NEVER):
        return False
    if any(address in ipaddress.ip_network(text, strict=False) for text in allowed_networks):
        return True
    if address.version == 6 and address not in _GLOBAL_UNICAST_V6:
        return False
    return address.is_global and not address.is_multicast


def resolve(
    host: str, port: int, *, timeout: float, allowed_networks: Sequence[str] = ()
) -> tuple[Endpoint, ...]:
    """Every A and AAAA of `host`, all of them permitted.

    Raises AdapterError: outbound_unreachable (temporary: no answer, or no address), outbound_address_forbidden
    (permanent: at least one address is not permitted).
    """
    found = _look_up(host, port, timeout)
    for ip in found:
        if not is_permitted(ip, allowed_networks):
            raise AdapterError(FORBIDDEN, permanent=True, host=host, address=ip)
    return tuple(Endpoint(ip, port) for ip in found)


def connect(host: str, port: int, *, timeout: float, allowed_networks: Sequence[str] = ()) -> socket.socket:
    """A TCP connection to the first address of `host` that answers. Raises as `resolve` does."""
    for endpoint in resolve(host, port, timeout=timeout, allowed_networks=allowed_networks):
        try:
            return dial(endpoint, timeout)
        except OSError:
            continue
    raise AdapterError(UNREACHABLE, permanent=False, host=host)


def dial(endpoint: Endpoint, timeout: float) -> socket.socket:
    """A TCP connection to this address, without asking the resolver again. Raises OSError."""
    made = socket.socket(socket.AF_INET6 if ":" in endpoint.ip else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        made.connect((endpoint.ip, endpoint.port))
    except BaseException:
        made.close()
        raise
    return made


def session(*, timeout: float, allowed_networks: Sequence[str] = ()) -> requests.Session:
    """An HTTP client that connects only to permitted addresses: no proxy, no retries, `timeout` on every call.

    Pass `allow_redirects=False` to keep to one exchange; a redirect that is followed is guarded like the first call.
    """
    made = requests.Session()
    made.trust_env = False
    guard = _GuardedAdapter(timeout, tuple(allowed_networks))
    made.mount("http://", guard)
    made.mount("https://", guard)
    return made


def _look_up(host: str, port: int, timeout: float) -> tuple[str, ...]:
    """The addresses of `host`. The system's resolver has no timeout, so it works in a thread that is not waited for."""
    answers: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()

    def look() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            rows = []
        answers.put(tuple(dict.fromkeys(str(row[4][0]) for row in rows))[:MOST_ADDRESSES])

    threading.Thread(target=look, daemon=True, name="resolve").start()
    try:
        found = answers.get(timeout=timeout)
    except queue.Empty:
        found = ()
    if not found:
        raise AdapterError(UNREACHABLE, permanent=False, host=host)
    return found


class _GuardedAdapter(HTTPAdapter):
    """Pools whose connections resolve, look and connect as this module does."""

    def __init__(self, timeout: float, allowed_networks: tuple[str, ...]) -> None:
        self._timeout = timeout
        self._allowed_networks = allowed_networks
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _guarded_pools(self._timeout, self._allowed_networks)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        return super().send(request, *args, **kwargs)


def _guarded_pools(timeout: float, allowed_networks: tuple[str, ...]) -> dict[str, type[HTTPConnectionPool]]:
    def open_socket(connection: HTTPConnection) -> socket.socket:
        host = connection._dns_host
        try:
            return connect(host, connection.port or 443, timeout=timeout, allowed_networks=allowed_networks)
        except AdapterError as error:
            if error.permanent:
                raise
        raise NewConnectionError(connection, f"{host} is not reachable") from ConnectTimeoutError()

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return open_socket(self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return open_socket(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}

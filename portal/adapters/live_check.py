"""Seeing what an endpoint really serves: a TLS handshake with SNI at every address that a name has.

Nothing is trusted and nothing is sent: the handshake is made without verification, because a wrong or expired
certificate is exactly what is to be seen.
"""

from __future__ import annotations

import errno
import hashlib
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from portal.adapters import outbound
from portal.adapters.errors import AdapterError
from portal.domain.certificate import ODD_CERTIFICATE, dns_names

UNREACHABLE = "live_unreachable"
FORBIDDEN = "live_address_forbidden"

#: This machine has no way to such an address; nothing is said about the endpoint.
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


@dataclass(frozen=True)
class Served:
    """The leaf that one address presented. `address` is ip:port; `sha256` and `serial` are lower-case hex."""

    address: str
    sha256: str
    serial: str
    not_after: datetime
    names: tuple[str, ...]


def see_served(
    host: str, address: str | None, *, timeout: float, allowed_networks: Sequence[str] = ()
) -> tuple[Served, ...]:
    """What is served for `host` (a DNS name), one result for each A and AAAA, in the resolver's order.

    `address` ("host:port") is connected to instead of `host`:443, with the same SNI. Addresses that this machine has
    no route to (IPv6 without IPv6) are left out as long as another one answers. `timeout` (seconds) is for the whole.
    Raises AdapterError: live_unreachable (temporary, names the address that did not answer),
    live_address_forbidden (permanent).
    """
    name, port = _split(address) if address else (host, 443)
    deadline = time.monotonic() + timeout
    endpoints = _resolve(name, port, timeout, allowed_networks)
    with ThreadPoolExecutor(max_workers=len(endpoints)) as pool:
        seen = list(pool.map(lambda endpoint: _look(endpoint, host, deadline), endpoints))
    served = tuple(one for one in seen if one is not None)
    if not served:
        raise AdapterError(UNREACHABLE, permanent=False, host=host, address=str(endpoints[0]))
    return served


def check_address(address: str, *, timeout: float, allowed_networks: Sequence[str] = ()) -> None:
    """Refuse an address ("host:port") that `see_served` would never connect to; one that does not resolve yet may pass.

    Raises AdapterError("live_address_forbidden").
    """
    name, port = _split(address)
    try:
        _resolve(name, port, timeout, allowed_networks)
    except AdapterError as error:
        if error.permanent:
            raise


def _split(address: str) -> tuple[str, int]:
    """ "host:port" or "[v6]:port" as its parts."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise AdapterError(FORBIDDEN, permanent=True, address=address)
    return host.strip("[]"), int(port)


def _resolve(
    host: str, port: int, timeout: float, allowed_networks: Sequence[str]
) -> tuple[outbound.Endpoint, ...]:
    try:
        return outbound.resolve(host, port, timeout=timeout, allowed_networks=allowed_networks)
    except AdapterError as error:
        code = FORBIDDEN if error.permanent else UNREACHABLE
        renamed = AdapterError(code, permanent=error.permanent)
        renamed.params = error.params
        raise renamed from None


def _look(endpoint: outbound.Endpoint, host: str, deadline: float) -> Served | None:
    """One handshake; None where there is no route to this address. Raises AdapterError("live_unreachable")."""
    try:
        return _read(_presented(endpoint, host, deadline), str(endpoint))
    except OSError as error:  # ssl.SSLError and timeouts are OSErrors
        if error.errno in _NO_ROUTE:
            return None
    except ODD_CERTIFICATE:
        pass  # no certificate, or none that can be read: the same to a visitor
    raise AdapterError(UNREACHABLE, permanent=False, host=host, address=str(endpoint))


def _presented(endpoint: outbound.Endpoint, host: str, deadline: float) -> bytes:
    """The DER of the leaf in the server's first flight."""
    with outbound.dial(endpoint, _left(deadline)) as plain:
        plain.settimeout(_left(deadline))
        with _lenient_context().wrap_socket(plain, server_hostname=host) as secure:
            return secure.getpeercert(binary_form=True) or b""


def _left(deadline: float) -> float:
    """Seconds until the deadline, never none: a socket without a timeout would wait for ever."""
    return max(deadline - time.monotonic(), 0.01)


def _lenient_context() -> ssl.SSLContext:
    """A client that accepts old protocols, short keys and any certificate: it looks, it does not trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    return context


def _read(der: bytes, address: str) -> Served:
    certificate = x509.load_der_x509_certificate(der)
    return Served(
        address=address,
        sha256=hashlib.sha256(der).hexdigest(),
        serial=f"{certificate.serial_number:x}",
        not_after=certificate.not_valid_after_utc,
        names=dns_names(certificate),
    )

"""Nothing beyond this machine: connections and look-ups of other names fail."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

REAL_CONNECT = socket.socket.connect
REAL_CONNECT_EX = socket.socket.connect_ex
REAL_SENDTO = socket.socket.sendto
REAL_GETADDRINFO = socket.getaddrinfo


class OutsideError(OSError):
    """A test tried to reach beyond this machine."""


def _refuse_outside(sock: socket.socket, address: Any) -> None:
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        host = str(address[0])
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise OutsideError(f"tests do not connect to {host}")


def _connect(sock: socket.socket, address: Any) -> None:
    _refuse_outside(sock, address)
    REAL_CONNECT(sock, address)


def _connect_ex(sock: socket.socket, address: Any) -> int:
    _refuse_outside(sock, address)
    return REAL_CONNECT_EX(sock, address)


def _sendto(sock: socket.socket, data: Any, *rest: Any) -> int:
    _refuse_outside(sock, rest[-1])
    return REAL_SENDTO(sock, data, *rest)


def _getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
    text = host.decode() if isinstance(host, bytes) else host
    if text not in {None, "", "localhost", socket.gethostname()}:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, f"tests do not resolve {text}") from None
    return REAL_GETADDRINFO(host, *rest, **options)


@contextmanager
def loopback_only() -> Iterator[None]:
    """While this holds, no Python code reaches beyond loopback."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _connect)
        patch.setattr(socket.socket, "connect_ex", _connect_ex)
        patch.setattr(socket.socket, "sendto", _sendto)
        patch.setattr(socket, "getaddrinfo", _getaddrinfo)
        yield

"""The live check: what is really served, by name and address, whatever state the certificate is in."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portal.adapters import live_check
from portal.adapters.errors import AdapterError
from portal.adapters.live_check import see_served
from portal.domain.certificate import sha256_of
from portal.sandbox.cloud import SandboxCloud
from tests import pki
from tests.servers import listening_socket

LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[SandboxCloud]:
    made = SandboxCloud(tmp_path / "cloud", "token")
    made.start()
    yield made
    made.stop()


def serve(cloud: SandboxCloud, domain: str, made: pki.Made) -> None:
    cloud.add_domain(domain, made.fullchain_pem, made.key_pem)


def test_the_leaf_is_read_whole(cloud: SandboxCloud) -> None:
    made = pki.make_certificate(("shop.example.com", "www.example.com"))
    serve(cloud, "shop.example.com", made)
    (seen,) = see_served("shop.example.com", cloud.edge_address, timeout=5, allowed_networks=LOOPBACK)
    assert seen.address == cloud.edge_address
    assert seen.sha256 == sha256_of(made.leaf)
    assert seen.serial == f"{made.leaf.serial_number:x}"
    assert seen.not_after == made.leaf.not_valid_after_utc
    assert seen.names == ("shop.example.com", "www.example.com")


def test_the_name_decides_which_certificate_is_seen(cloud: SandboxCloud) -> None:
    certificates = {name: pki.make_certificate((name,)) for name in ("a.example.com", "b.example.com")}
    for name, made in certificates.items():
        serve(cloud, name, made)
    for name, made in certificates.items():
        (seen,) = see_served(name, cloud.edge_address, timeout=5, allowed_networks=LOOPBACK)
        assert seen.sha256 == sha256_of(made.leaf)


@pytest.mark.parametrize(
    "made",
    [
        pki.make_certificate(expires_in=timedelta(days=-400)),
        pki.make_certificate(("quite.another.name",)),
        pki.make_certificate(expires_in=timedelta(days=500), lifetime=timedelta(days=100)),
    ],
    ids=["expired", "another name", "not yet valid"],
)
def test_a_certificate_that_browsers_refuse_is_seen_all_the_same(cloud: SandboxCloud, made: pki.Made) -> None:
    serve(cloud, "shop.example.com", made)
    (seen,) = see_served("shop.example.com", cloud.edge_address, timeout=5, allowed_networks=LOOPBACK)
    assert seen.sha256 == sha256_of(made.leaf)


def test_a_new_binding_is_seen_at_once(cloud: SandboxCloud) -> None:
    for _ in range(3):
        made = pki.make_certificate()
        serve(cloud, "shop.example.com", made)
        (seen,) = see_served("shop.example.com", cloud.edge_address, timeout=5, allowed_networks=LOOPBACK)
        assert seen.sha256 == sha256_of(made.leaf)


def resolve_to(monkeypatch: pytest.MonkeyPatch, port: int, *ips: str) -> None:
    """Have every name resolve to these addresses, 443 be `port`, and IPv6 have no route."""
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]
    real = socket.socket.connect

    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        if sock.family == socket.AF_INET6:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        real(sock, (address[0], port if address[1] == 443 else address[1]))

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: rows)
    monkeypatch.setattr(socket.socket, "connect", connect)


def edge_port(cloud: SandboxCloud) -> int:
    return int(cloud.edge_address.rpartition(":")[2])


def test_without_an_address_port_443_of_every_address_of_the_name_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = SandboxCloud(tmp_path, "token")
    cloud.start("0.0.0.0")
    serve(cloud, "shop.example.com", pki.make_certificate())
    with monkeypatch.context() as patch:
        resolve_to(patch, edge_port(cloud), "127.0.0.1", "127.0.0.2", "127.0.0.1")
        seen = see_served("shop.example.com", None, timeout=5, allowed_networks=LOOPBACK)
    cloud.stop()
    assert [one.address for one in seen] == ["127.0.0.1:443", "127.0.0.2:443"]
    assert len({one.sha256 for one in seen}) == 1


def test_one_address_that_does_not_answer_is_news(
    cloud: SandboxCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(cloud, "shop.example.com", pki.make_certificate())
    resolve_to(monkeypatch, edge_port(cloud), "127.0.0.1", "127.0.0.3")
    with pytest.raises(AdapterError) as caught:
        see_served("shop.example.com", None, timeout=5, allowed_networks=LOOPBACK)
    assert caught.value.params == {"host": "shop.example.com", "address": "127.0.0.3:443"}


def test_an_address_without_a_route_is_left_out(cloud: SandboxCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(cloud, "shop.example.com", pki.make_certificate())
    resolve_to(monkeypatch, edge_port(cloud), "127.0.0.1", "2400:3200::1")
    seen = see_served("shop.example.com", None, timeout=5, allowed_networks=LOOPBACK)
    assert [one.address for one in seen] == ["127.0.0.1:443"]


def test_no_route_to_any_address_is_unreachable(cloud: SandboxCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, edge_port(cloud), "2400:3200::1")
    assert refusal("shop.example.com", None) == (live_check.UNREACHABLE, False)


def refusal(host: str, address: str | None, **options: Any) -> tuple[str, bool]:
    with pytest.raises(AdapterError) as caught:
        see_served(host, address, **{"timeout": 0.5, "allowed_networks": LOOPBACK, **options})
    return caught.value.code, caught.value.permanent


def test_a_server_with_a_short_key_is_seen(tmp_path: Path) -> None:
    made = pki.make_certificate(key_type="rsa-1024")
    (tmp_path / "both.pem").write_text(made.key_pem + made.leaf_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(tmp_path / "both.pem")
    with listening_socket() as listener, context.wrap_socket(listener, server_side=True) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close(), daemon=True)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        (seen,) = see_served("shop.example.com", address, timeout=5, allowed_networks=LOOPBACK)
        thread.join(5)
    assert seen.sha256 == sha256_of(made.leaf)


def test_the_time_given_is_for_the_whole_look() -> None:
    with listening_socket() as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        assert refusal("shop.example.com", address, timeout=0.3) == (live_check.UNREACHABLE, False)
    assert time.monotonic() - started < 2


def test_a_closed_port_is_unreachable() -> None:
    with listening_socket() as listener:
        port = listener.getsockname()[1]
    assert refusal("shop.example.com", f"127.0.0.1:{port}") == (live_check.UNREACHABLE, False)


def test_a_server_that_says_nothing_is_unreachable() -> None:
    with listening_socket() as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert refusal("shop.example.com", address) == (live_check.UNREACHABLE, False)


def test_a_server_that_speaks_no_tls_is_unreachable() -> None:
    with listening_socket() as listener:
        thread = threading.Thread(target=_answer_plainly, args=(listener,), daemon=True)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert refusal("shop.example.com", address) == (live_check.UNREACHABLE, False)
        thread.join(5)


def _answer_plainly(listener: socket.socket) -> None:
    connection, _address = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_name_that_the_edge_does_not_know_is_unreachable(cloud: SandboxCloud) -> None:
    assert refusal("unknown.example.com", cloud.edge_address) == (live_check.UNREACHABLE, False)


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    assert refusal("nowhere.invalid", None) == (live_check.UNREACHABLE, False)


@pytest.mark.parametrize(
    "address", ["10.0.0.1:443", "127.0.0.1:443", "[64:ff9b::1]:443", "100.100.100.200:80"]
)
def test_addresses_inside_are_forbidden(address: str) -> None:
    assert refusal("shop.example.com", address, allowed_networks=()) == (live_check.FORBIDDEN, True)
    with pytest.raises(AdapterError) as caught:
        live_check.check_address(address, timeout=1)
    assert caught.value.code == live_check.FORBIDDEN


@pytest.mark.parametrize("address", ["no-port", "host:", ":443", "host:https", "host:70000"])
def test_an_address_that_is_none_is_forbidden(address: str) -> None:
    assert refusal("shop.example.com", address) == (live_check.FORBIDDEN, True)


def test_an_address_that_does_not_resolve_yet_may_be_kept() -> None:
    live_check.check_address("nowhere.invalid:443", timeout=1)
    live_check.check_address("127.0.0.1:443", timeout=1, allowed_networks=LOOPBACK)

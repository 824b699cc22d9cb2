"""The way out: what may be connected to, and that what was looked at is what is connected to."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from portal.adapters import outbound
from portal.adapters.errors import AdapterError
from portal.sandbox.serving import WebServer
from tests.servers import listening_socket
from tests.tls import loopback_tls

LOOPBACK = ("127.0.0.0/8",)

ADDRESSES = [
    ("8.8.8.8",                  (),                     True),
    ("47.88.1.2",                (),                     True),
    ("2400:3200::1",             (),                     True),
    ("127.0.0.1",                (),                     False),
    ("127.0.0.1",                ("127.0.0.0/8",),       True),
    ("127.0.0.1",                ("127.0.0.1/8",),       True),
    ("0.0.0.0",                  (),                     False),
    ("10.1.2.3",                 (),                     False),
    ("10.1.2.3",                 ("10.0.0.0/8",),        True),
    ("10.1.2.3",                 ("192.168.0.0/16",),    False),
    ("172.16.0.1",               (),                     False),
    ("192.168.1.1",              (),                     False),
    ("169.254.1.1",              (),                     False),
    ("169.254.169.254",          ("0.0.0.0/0",),         False),
    ("100.64.0.1",               (),                     False),
    ("100.64.0.1",               ("100.64.0.0/10",),     True),
    ("100.100.100.200",          ("100.64.0.0/10",),     False),
    ("224.0.0.1",                (),                     False),
    ("255.255.255.255",          (),                     False),
    ("::1",                      (),                     False),
    ("::1",                      ("::1/128",),           True),
    ("::",                       ("::/0",),              False),
    ("fe80::1%eth0",             (),                     False),
    ("fec0::1",                  (),                     False),
    ("fc00::1",                  (),                     False),
    ("fc00::1",                  ("fc00::/7",),          True),
    ("fd00:ec2::254",            ("fc00::/7",),          False),
    ("ff02::1",                  (),                     False),
    ("2001:db8::1",              (),                     False),
    ("64:ff9b::7f00:1",          (),                     False),
    ("64:ff9b::808:808",         ("::/0",),              False),
    ("64:ff9b:1::a00:1",         ("::/0",),              False),
    ("2002:7f00:1::1",           (),                     False),
    ("2001:0:4136:e378::1",      (),                     False),
    ("::127.0.0.1",              ("::/0",),              False),
    ("::ffff:127.0.0.1",         (),                     False),
    ("::ffff:127.0.0.1",         ("127.0.0.0/8",),       True),
    ("::ffff:100.100.100.200",   ("0.0.0.0/0", "::/0"),  False),
    ("::ffff:8.8.8.8",           (),                     True),
]  # fmt: skip


@pytest.mark.parametrize(("ip", "allowed", "is_permitted"), ADDRESSES)
def test_addresses_are_permitted_by_their_kind(ip: str, allowed: tuple[str, ...], is_permitted: bool) -> None:
    assert outbound.is_permitted(ip, allowed) is is_permitted


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to; each look-up takes the first address list away while there is a second ("," parts)."""
    table: dict[str, list[str]] = {}

    def look_up(host: str, port: int, *_rest: Any, **_options: Any) -> list[Any]:
        answers = table[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answer.split(",")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


def test_every_address_is_returned_once_in_order(names: dict[str, list[str]]) -> None:
    names["a.example.com"] = ["8.8.8.8,8.8.4.4,8.8.8.8"]
    found = outbound.resolve("a.example.com", 443, timeout=5)
    assert [str(one) for one in found] == ["8.8.8.8:443", "8.8.4.4:443"]
    assert str(outbound.Endpoint("2400:3200::1", 443)) == "[2400:3200::1]:443"


def test_one_forbidden_address_among_good_ones_is_enough(names: dict[str, list[str]]) -> None:
    names["a.example.com"] = ["8.8.8.8,10.0.0.1"]
    with pytest.raises(AdapterError) as caught:
        outbound.resolve("a.example.com", 443, timeout=5)
    assert (caught.value.code, caught.value.permanent) == (outbound.FORBIDDEN, True)
    assert caught.value.params == {"host": "a.example.com", "address": "10.0.0.1"}


def test_a_name_that_does_not_resolve_is_unreachable_for_now() -> None:
    with pytest.raises(AdapterError) as caught:
        outbound.resolve("nowhere.invalid", 443, timeout=5)
    assert (caught.value.code, caught.value.permanent) == (outbound.UNREACHABLE, False)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_args: Any, **_options: Any) -> list[Any]:
        released.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(AdapterError) as caught:
        outbound.resolve("slow.example.com", 443, timeout=0.1)
    released.set()
    assert caught.value.code == outbound.UNREACHABLE


def test_a_connection_goes_to_the_address_that_was_looked_at(names: dict[str, list[str]]) -> None:
    """A second look-up would name a forbidden address: DNS rebinding."""
    names["rebind.example.com"] = ["127.0.0.1", "10.0.0.1"]
    with listening_socket() as listener:
        port = listener.getsockname()[1]
        with outbound.connect("rebind.example.com", port, timeout=5, allowed_networks=LOOPBACK) as made:
            assert made.getpeername() == ("127.0.0.1", port)
    assert names["rebind.example.com"] == ["10.0.0.1"]


def test_the_next_address_is_tried_where_one_does_not_answer(names: dict[str, list[str]]) -> None:
    names["two.example.com"] = ["127.0.0.2,127.0.0.1"]
    with listening_socket() as listener:
        port = listener.getsockname()[1]
        with outbound.connect("two.example.com", port, timeout=5, allowed_networks=LOOPBACK) as made:
            assert made.getpeername()[0] == "127.0.0.1"


def test_nobody_there_is_unreachable() -> None:
    with listening_socket() as listener:
        port = listener.getsockname()[1]
    with pytest.raises(AdapterError) as caught:
        outbound.connect("127.0.0.1", port, timeout=5, allowed_networks=LOOPBACK)
    assert (caught.value.code, caught.value.permanent) == (outbound.UNREACHABLE, False)


@Request.application
def _site(request: Request) -> Response:
    if request.path == "/away":
        return Response("", 302, headers={"Location": "http://10.0.0.1/secret"})
    return Response(request.host)


@pytest.fixture
def site() -> Iterator[str]:
    server = WebServer(_site)
    server.start("127.0.0.1", 0)
    yield server.url
    server.stop()


def test_the_http_client_reaches_permitted_addresses_only(site: str) -> None:
    with outbound.session(timeout=5, allowed_networks=LOOPBACK) as guarded:
        assert guarded.get(site).status_code == 200
    with outbound.session(timeout=5) as strict, pytest.raises(AdapterError) as caught:
        strict.get(site)
    assert caught.value.code == outbound.FORBIDDEN


def test_the_http_client_sends_the_name_that_was_asked_for(site: str, names: dict[str, list[str]]) -> None:
    names["shop.example.com"] = ["127.0.0.1"]
    address = site.replace("127.0.0.1", "shop.example.com")
    with outbound.session(timeout=5, allowed_networks=LOOPBACK) as guarded:
        assert guarded.get(address).text == address.removeprefix("http://")


def test_a_redirect_to_a_forbidden_address_is_refused(site: str) -> None:
    with outbound.session(timeout=5, allowed_networks=LOOPBACK) as guarded:
        assert guarded.get(f"{site}/away", allow_redirects=False).status_code == 302
        with pytest.raises(AdapterError) as caught:
            guarded.get(f"{site}/away")
    assert caught.value.code == outbound.FORBIDDEN


def test_proxies_of_the_environment_are_not_used(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with outbound.session(timeout=5, allowed_networks=LOOPBACK) as guarded:
        assert guarded.get(site).status_code == 200


def test_a_server_that_is_away_is_the_clients_usual_error() -> None:
    with listening_socket() as listener:
        port = listener.getsockname()[1]
    with (
        outbound.session(timeout=1, allowed_networks=LOOPBACK) as guarded,
        pytest.raises(requests.ConnectionError),
    ):
        guarded.get(f"http://127.0.0.1:{port}")


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with (
        listening_socket() as listener,
        outbound.session(timeout=0.2, allowed_networks=LOOPBACK) as guarded,
        pytest.raises(requests.Timeout),
    ):
        guarded.get(f"http://127.0.0.1:{listener.getsockname()[1]}")


def test_https_is_verified_against_the_name(tmp_path: Path) -> None:
    tls = loopback_tls()
    bundle = tmp_path / "ca.pem"
    bundle.write_text(tls.ca_bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls.write(tmp_path))
    with listening_socket() as listener, context.wrap_socket(listener, server_side=True) as server:
        thread = threading.Thread(target=_answer_twice, args=(server,), daemon=True)
        thread.start()
        with outbound.session(timeout=5, allowed_networks=LOOPBACK) as guarded:
            port = server.getsockname()[1]
            with pytest.raises(requests.exceptions.SSLError):
                guarded.get(f"https://127.0.0.1:{port}")
            assert guarded.get(f"https://localhost:{port}", verify=str(bundle)).text == "ok"
        thread.join(5)


def _answer_twice(server: ssl.SSLSocket) -> None:
    for _ in range(2):
        try:
            connection, _address = server.accept()
        except ssl.SSLError:
            continue
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

"""Reading an answer at a name as a CA would, from servers on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from portal.adapters.dns.http_reach import MOST_REDIRECTS, PATH, Ports, check_reach
from portal.adapters.errors import AdapterError
from portal.sandbox.serving import WebServer
from tests.servers import listening_socket
from tests.tls import loopback_tls

LOOPBACK = ("127.0.0.0/8",)
NAME = "shop.example.com"
TOKEN = "token"
EXPECTED = "token.answer"


@dataclass
class Site:
    """What a web server says to a request, and what it was asked."""

    respond: Callable[[Request], Response] = lambda _request: Response(EXPECTED)
    asked: list[str] = field(default_factory=list)
    ports: Ports = field(default_factory=Ports)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.asked.append(request.url)
        return self.respond(request)(environ, start_response)

    def redirect(self, location: str, status: int = 302) -> None:
        """The first request is sent away; whatever follows is answered."""
        self.respond = lambda request: (
            Response(EXPECTED) if request.args or "moved" in request.path else away(location, status)
        )

    def code(self, **options: Any) -> str:
        """The code of what a look ends in; "" where all is well."""
        settings = {"timeout": 5.0, "allowed_networks": LOOPBACK, "ports": self.ports, **options}
        try:
            check_reach(NAME, TOKEN, EXPECTED, **settings)
        except AdapterError as error:
            assert error.permanent
            assert error.params["name"] == NAME
            return error.code
        return ""


def away(location: str, status: int = 302) -> Response:
    return Response("", status, headers={"Location": location})


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to."""
    table = {NAME: ["127.0.0.1"], "other.example.com": ["127.0.0.1"], "inside.example.com": ["10.0.0.1"]}

    def look_up(host: str, port: int, *_rest: Any, **_options: Any) -> list[Any]:
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in table[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


@pytest.fixture
def site(names: dict[str, list[str]]) -> Iterator[Site]:
    served = Site()
    server = WebServer(served)
    server.start("127.0.0.1", 0)
    served.ports = Ports(http=int(server.url.rpartition(":")[2]), https=1)
    yield served
    server.stop()


def test_the_right_answer_is_reached(site: Site) -> None:
    assert site.code() == ""
    assert site.asked == [f"http://{NAME}{PATH}{TOKEN}"]


def test_space_after_the_answer_does_not_matter(site: Site) -> None:
    site.respond = lambda _request: Response(f"{EXPECTED} \r\n")
    assert site.code() == ""


@pytest.mark.parametrize(
    "response",
    [
        lambda _request: Response("<html>Welcome</html>"),
        lambda _request: Response(""),
        lambda _request: Response(f" {EXPECTED}"),
        lambda _request: Response(f"{EXPECTED} and more"),
        lambda _request: Response("no", 404),
        lambda _request: Response(EXPECTED, 201),
        lambda _request: Response(EXPECTED, 401),
        lambda _request: Response(EXPECTED, 503),
        lambda _request: Response("x" * 10_000_000),
    ],
)
def test_a_wrong_answer_is_named(site: Site, response: Callable[[Request], Response]) -> None:
    site.respond = response
    assert site.code() == "http_wrong_answer"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "location", ["/moved", "moved", "http://other.example.com/moved?a=1", "?a=1", "//other.example.com/moved"]
)
def test_redirects_that_cas_follow_are_followed(site: Site, status: int, location: str) -> None:
    site.redirect(location, status)
    assert site.code() == ""
    assert len(site.asked) == 2


def test_a_port_may_be_named_in_a_redirect(site: Site) -> None:
    site.redirect(f"http://other.example.com:{site.ports.http}/moved")
    assert site.code() == ""


@pytest.mark.parametrize("status", [300, 303, 304])
def test_other_redirects_are_no_answer(site: Site, status: int) -> None:
    site.redirect("/moved", status)
    assert site.code() == "http_wrong_answer"


@pytest.mark.parametrize(
    "location",
    [
        "ftp://other.example.com/moved",
        "file:///etc/passwd",
        "http://other.example.com:8443/moved",
        "http://127.0.0.1/moved",
        "http://[::1]/moved",
        "",
    ],
)
def test_redirects_that_no_ca_follows_are_named(site: Site, location: str) -> None:
    site.redirect(location)
    assert site.code() == "http_redirect_refused"
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("hops", "code"), [(MOST_REDIRECTS, ""), (MOST_REDIRECTS + 1, "http_redirect_refused")]
)
def test_ten_redirects_are_followed_and_no_more(site: Site, hops: int, code: str) -> None:
    def respond(request: Request) -> Response:
        done = int(request.args.get("n", 0))
        return Response(EXPECTED) if done == hops else away(f"?n={done + 1}")

    site.respond = respond
    assert site.code() == code
    assert len(site.asked) == MOST_REDIRECTS + 1


def test_no_hop_leads_inside(site: Site) -> None:
    site.redirect("http://inside.example.com/moved")
    assert site.code() == "http_address_forbidden"


def test_a_name_that_points_inside_is_not_connected_to(site: Site) -> None:
    assert site.code(allowed_networks=()) == "http_address_forbidden"
    assert site.asked == []


def test_a_name_without_an_address_is_unreachable(site: Site, names: dict[str, list[str]]) -> None:
    del names[NAME]
    assert site.code() == "http_unreachable"


def test_the_next_address_is_tried_where_one_is_away(site: Site, names: dict[str, list[str]]) -> None:
    names[NAME] = ["127.0.0.9", "127.0.0.1"]
    assert site.code() == ""


def test_nobody_listening_is_unreachable(site: Site) -> None:
    with listening_socket() as sock:
        port = sock.getsockname()[1]
    assert site.code(ports=Ports(port, 1)) == "http_unreachable"


def test_https_is_followed_whatever_its_certificate_says(site: Site, tmp_path: Path) -> None:
    with secure_server(tmp_path) as port:
        site.redirect("https://other.example.com/moved")
        assert site.code(ports=replace(site.ports, https=port)) == ""


def test_a_server_that_talks_too_slowly_is_left_in_time(site: Site) -> None:
    started = time.monotonic()
    with dripping_server() as port:
        assert site.code(ports=Ports(port, 1), timeout=0.5) == "http_unreachable"
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "noise", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 banana\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500]
)
def test_what_does_not_speak_http_is_unreachable(site: Site, noise: bytes) -> None:
    with speaking(lambda line: line.sendall(noise)) as port:
        assert site.code(ports=Ports(port, 1), timeout=3) == "http_unreachable"


@pytest.mark.parametrize("location", [b"http://other.example.com:many/", b"http://[/"])
def test_a_redirect_to_nonsense_is_named(site: Site, location: bytes) -> None:
    with speaking(
        lambda line: line.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n\r\n")
    ) as port:
        assert site.code(ports=Ports(port, 1), timeout=3) == "http_redirect_refused"


@contextmanager
def speaking(speak: Callable[[Any], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that takes one connection, reads a request and then does as it is told."""
    with listening_socket() as listener:
        listener.settimeout(5)

        def serve() -> None:
            try:
                plain, _address = listener.accept()
                plain.settimeout(5)
                with context.wrap_socket(plain, server_side=True) if context else plain as line:
                    line.recv(4096)
                    speak(line)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@contextmanager
def secure_server(folder: Path) -> Iterator[int]:
    """It answers rightly, with a certificate for another name that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*loopback_tls().write(folder))
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(EXPECTED)}\r\n\r\n{EXPECTED}".encode()
    with speaking(lambda line: line.sendall(answer), context) as port:
        yield port


@contextmanager
def dripping_server() -> Iterator[int]:
    """A header that never ends, a byte at a time: no single read takes long."""

    def drip(line: Any) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(100):
            line.sendall(b"x")
            time.sleep(0.05)

    with speaking(drip) as port:
        yield port

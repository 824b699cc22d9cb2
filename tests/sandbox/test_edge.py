"""The edge: certificates by server name, chains, visitors who misbehave."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from portal.domain.certificate import to_pem
from portal.sandbox.edge import CertificateFiles, Edge
from tests import pki


class Shelf:
    """Certificates by server name, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates: dict[str, CertificateFiles] = {}

    def put(self, name: str, made: pki.Made) -> None:
        files = CertificateFiles(
            self.folder / f"{name}.{len(made.fullchain_pem)}.pem", self.folder / f"{name}.key"
        )
        files.chain.write_text(made.fullchain_pem)
        files.key.write_text(made.key_pem)
        self.certificates[name] = files


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def edge(shelf: Shelf) -> Iterator[Edge]:
    started = Edge(shelf.certificates.get)
    started.start()
    yield started
    started.stop()


def place(edge: Edge) -> tuple[str, int]:
    host, _, port = edge.address.rpartition(":")
    return host, int(port)


def visit(edge: Edge, name: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(place(edge), 5), server_hostname=name)


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
def test_a_client_that_trusts_the_root_verifies_the_whole_chain(
    edge: Edge, shelf: Shelf, key_type: str
) -> None:
    made = pki.make_certificate(key_type=key_type)
    shelf.put("shop.example.com", made)
    context = ssl.create_default_context(cadata=to_pem([made.root]))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the test CA leaves out key identifiers
    with visit(edge, "shop.example.com", context) as connection:
        assert connection.getpeercert(binary_form=True) == _der(made)


def _der(made: pki.Made) -> bytes:
    return ssl.PEM_cert_to_DER_cert(made.leaf_pem)


def test_the_page_says_which_certificate_it_was_served_with(edge: Edge, shelf: Shelf) -> None:
    made = pki.make_certificate()
    shelf.put("shop.example.com", made)
    with visit(edge, "shop.example.com", _lax()) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: <shop>.example.com\r\n\r\n")
        page = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    assert f"{made.leaf.serial_number:x}" in page
    assert f"{made.leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC" in page
    assert "&lt;shop&gt;.example.com" in page
    assert "有效期至" in page


def test_head_sends_no_page(edge: Edge, shelf: Shelf) -> None:
    shelf.put("localhost", pki.make_certificate())
    connection = HTTPSConnection("localhost", place(edge)[1], timeout=5, context=_lax())
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    connection.close()


def _lax() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_name_without_a_certificate_gets_the_alert(edge: Edge) -> None:
    with pytest.raises(ssl.SSLError, match="unrecognized name"):
        visit(edge, "unknown.example.com", _lax())


def test_a_client_without_a_name_gets_the_alert(edge: Edge) -> None:
    with pytest.raises(ssl.SSLError, match="unrecognized name"):
        _lax().wrap_socket(socket.create_connection(place(edge), 5))


def test_a_certificate_that_cannot_be_loaded_is_an_internal_error(edge: Edge, shelf: Shelf) -> None:
    shelf.put("shop.example.com", pki.make_certificate())
    shelf.certificates["shop.example.com"].key.write_text("broken")
    with pytest.raises(ssl.SSLError, match="internal error"):
        visit(edge, "shop.example.com", _lax())


def test_silent_and_broken_visitors_hold_nobody_up(
    edge: Edge, shelf: Shelf, capfd: pytest.CaptureFixture[str]
) -> None:
    made = pki.make_certificate()
    shelf.put("shop.example.com", made)
    silent = [socket.create_connection(place(edge), 5) for _ in range(5)]
    silent[0].sendall(b"GET / HTTP/1.0\r\n\r\n")
    silent[0].close()
    with visit(edge, "shop.example.com", _lax()) as connection:
        assert connection.getpeercert(binary_form=True) == _der(made)
    for one in silent[1:]:
        one.close()
    assert "Traceback" not in capfd.readouterr().err


def test_many_visitors_at_once_are_all_served(edge: Edge, shelf: Shelf) -> None:
    certificates = {
        f"n{number}.example.com": pki.make_certificate((f"n{number}.example.com",)) for number in range(8)
    }
    for name, made in certificates.items():
        shelf.put(name, made)
    seen: dict[str, bytes | None] = {}

    def look(name: str) -> None:
        with visit(edge, name, _lax()) as connection:
            seen[name] = connection.getpeercert(binary_form=True)

    threads = [threading.Thread(target=look, args=(name,)) for name in certificates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {name: _der(made) for name, made in certificates.items()}


def test_a_resumed_session_never_shows_an_older_certificate(edge: Edge, shelf: Shelf) -> None:
    old, new = pki.make_certificate(), pki.make_certificate(("shop.example.com", "more.example.com"))
    shelf.put("shop.example.com", old)
    context = _lax()
    with visit(edge, "shop.example.com", context) as connection:
        session = connection.session
    shelf.put("shop.example.com", new)
    plain = socket.create_connection(place(edge), 5)
    with context.wrap_socket(plain, server_hostname="shop.example.com", session=session) as connection:
        assert connection.getpeercert(binary_form=True) == _der(new)
        assert not connection.session_reused


def test_stopping_is_safe_to_repeat_and_starting_again_works(edge: Edge, shelf: Shelf) -> None:
    made = pki.make_certificate()
    shelf.put("shop.example.com", made)
    edge.stop()
    edge.stop()
    edge.start()
    with visit(edge, "shop.example.com", _lax()) as connection:
        assert connection.getpeercert(binary_form=True) == _der(made)

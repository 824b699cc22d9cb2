"""Mail over real SMTP connections: what is temporary, what is for good, and what TLS insists on."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from portal.adapters.channel.registry import connect
from portal.adapters.errors import AdapterError
from portal.settings import Settings
from tests import pki

PASSWORD = "p@ss:w/ord"


class Server(Controller):
    """aiosmtpd on a free port, answering as a test says."""

    def __init__(self, **options: Any) -> None:
        self.received: list[bytes] = []
        self.recipient_answer = self.data_answer = self.sender_answer = ""
        super().__init__(self, hostname="127.0.0.1", port=0, **options)

    def _trigger_server(self) -> None:
        """Let the server see a first connection; its own way of doing so wants a client's TLS context."""
        self.port = self.server.sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", self.port), 5) as plain:
            if self.ssl_context is None:
                plain.recv(1)
                return
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(plain) as secured:
                secured.recv(1)

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.sender_answer:
            return self.sender_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.recipient_answer:
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.data_answer:
            return self.data_answer
        self.received.append(envelope.content)
        return "250 OK"


@contextmanager
def running(**options: Any) -> Iterator[Server]:
    server = Server(**options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as one:
        yield one


def channel(url: str, timeout: float = 5.0):
    settings = Settings(
        Path("/nowhere"), "sqlite://", "unix:///nowhere", "key", {1: bytes(32)},
        mail_url=url, step_timeout=timeout,
    )  # fmt: skip
    return connect("email", settings)


def message(to: str = "alice@example.com") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Perennial <perennial@example.com>"
    mail["To"] = to
    mail["Subject"] = "证书已续期"
    mail.set_content("你好")
    return mail


def failure(url: str, timeout: float = 5.0, to: str = "alice@example.com") -> AdapterError:
    with pytest.raises(AdapterError) as failed:
        channel(url, timeout).send(message(to))
    assert PASSWORD not in str(failed.value)
    return failed.value


def test_a_message_is_handed_over(server):
    channel(f"smtp://localhost:{server.port}").send(message())
    assert b"alice@example.com" in server.received[0]


@pytest.mark.parametrize("where", ["recipient_answer", "data_answer"])
@pytest.mark.parametrize(
    ("answer", "code", "permanent", "detail"),
    [
        ("550 5.1.1 no such user", "mail_refused", True, "5.1.1"),
        ("554 no thanks", "mail_refused", True, ""),
        ("451 4.7.1 greylisted, come back", "mail_unavailable", False, "4.7.1"),
        ("452 mailbox full", "mail_unavailable", False, ""),
    ],
)
def test_a_refusal_is_as_lasting_as_its_status_says(server, where, answer, code, permanent, detail):
    setattr(server, where, answer)
    error = failure(f"smtp://localhost:{server.port}")
    assert (error.code, error.permanent, error.params["detail"]) == (code, permanent, detail)
    assert error.params["status"] == int(answer[:3])


def test_a_refused_sender_says_nothing_of_the_recipient(server):
    server.sender_answer = "550 not you"
    error = failure(f"smtp://localhost:{server.port}")
    assert (error.code, error.permanent, error.params["reason"]) == ("mail_unavailable", False, "sender")


def test_a_server_that_is_away_is_temporary():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = failure(f"smtp://user:{PASSWORD.replace('@', '%40').replace('/', '%2F')}@127.0.0.1:{port}")
    assert (error.code, error.permanent) == ("mail_unavailable", False)


def test_a_server_that_hangs_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(f"smtp://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
    assert (error.code, error.permanent) == ("mail_unavailable", False)


def test_a_server_that_dies_after_taking_the_message_has_taken_it():
    lines = [b"220 hello", b"250 hi", b"250 ok", b"250 ok", b"354 go on", b"250 taken"]

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as read:
            for line in lines:
                connection.sendall(line + b"\r\n")
                if line == b"354 go on":
                    while read.readline() != b".\r\n":
                        pass
                elif line != b"250 taken":
                    read.readline()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        channel(f"smtp://127.0.0.1:{listener.getsockname()[1]}").send(message())
        thread.join(5)


@pytest.mark.parametrize("url", ["", "http://localhost", "smtp://"])
def test_without_an_address_mail_waits(url):
    error = failure(url)
    assert (error.code, error.permanent) == ("mail_not_configured", False)


def test_wrong_credentials_are_temporary_and_not_told():
    class Guard:
        def __call__(self, server, session, envelope, mechanism, data):
            return AuthResult(success=False, handled=False)

    with running(authenticator=Guard(), auth_require_tls=False) as server:
        error = failure(f"smtp://user:p%40ss%3Aw%2Ford@localhost:{server.port}")
    assert (error.code, error.permanent, error.params["reason"]) == ("mail_unavailable", False, "credentials")


# TLS


@pytest.fixture(scope="module")
def identity() -> pki.Made:
    """A certificate for localhost, from a CA of the tests."""
    return pki.make_certificate(("localhost",))


@pytest.fixture
def server_context(identity, tmp_path) -> ssl.SSLContext:
    file = tmp_path / "server.pem"
    file.write_text(identity.key_pem + identity.fullchain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def trusted(identity, tmp_path, monkeypatch) -> None:
    root: x509.Certificate = identity.root
    file = tmp_path / "root.pem"
    file.write_bytes(root.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


def test_tls_from_the_start(server_context, trusted):
    with running(ssl_context=server_context) as server:
        channel(f"smtps://localhost:{server.port}").send(message())
        assert len(server.received) == 1


def test_starttls(server_context, trusted):
    with running(tls_context=server_context, require_starttls=True) as server:
        channel(f"smtp+starttls://localhost:{server.port}").send(message())
        assert len(server.received) == 1


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_an_untrusted_certificate_gets_no_mail(server_context, scheme):
    options = (
        {"ssl_context": server_context}
        if scheme == "smtps"
        else {"tls_context": server_context, "require_starttls": True}
    )
    with running(**options) as server:
        error = failure(f"{scheme}://localhost:{server.port}")
        assert (error.code, error.permanent, error.params["reason"]) == ("mail_unavailable", False, "tls")
        assert server.received == []


def test_a_server_without_starttls_gets_neither_password_nor_mail(server):
    error = failure(f"smtp+starttls://user:p%40ss%3Aw%2Ford@localhost:{server.port}")
    assert (error.code, error.permanent) == ("mail_unavailable", False)
    assert server.received == []

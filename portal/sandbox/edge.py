"""A TLS server that picks its certificate by SNI, as the edge of a content network does.

The certificate is looked up in every handshake, so a new binding is served at once. There are no session tickets: a
client never resumes a handshake that was made with an older certificate.
"""

from __future__ import annotations

import html
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509

#: Seconds that a visitor may take for the handshake and for the request.
VISIT_TIMEOUT = 10.0

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{host}</title></head>
<body><h1>{host}</h1>
<p>This page is served by the sandbox edge with certificate</p><p><code>{serial}</code></p>
<p>which is valid until <time>{until}</time>.</p>
<p lang="zh-Hans">沙箱边缘节点正在使用上述序列号的证书，有效期至 {until}。</p></body></html>
"""


@dataclass(frozen=True)
class CertificateFiles:
    """A chain (leaf first) and its key, as PEM files that do not change."""

    chain: Path
    key: Path


#: Server name → what to serve for it, or None.
Lookup = Callable[[str], CertificateFiles | None]


class _Context(ssl.SSLContext):
    """A context for one certificate, knowing the leaf that it presents."""

    leaf: x509.Certificate


class Edge:
    """`start` listens and serves in threads; `stop` ends it. A name without a certificate gets unrecognized_name."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._contexts: dict[CertificateFiles, _Context] = {}
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """host:port while started."""
        assert self._server is not None, "the edge is not started"
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        front.num_tickets = 0
        front.options |= ssl.OP_NO_TICKET
        front.sni_callback = self._choose
        self._server = _Server((host, port), front)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True, name="edge"
        )
        self._thread.start()

    def stop(self) -> None:
        """Safe to repeat."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(VISIT_TIMEOUT)
        self._server = self._thread = None

    def _choose(self, connection: Any, server_name: str | None, _front: ssl.SSLContext) -> int | None:
        """The SNI callback: switch to the name's certificate, or end the handshake with an alert."""
        files = self._lookup(server_name) if server_name else None
        if files is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        try:
            connection.context = self._context(files)
        except (OSError, ValueError):
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None

    def _context(self, files: CertificateFiles) -> _Context:
        context = self._contexts.get(files)
        if context is None:
            context = _Context(ssl.PROTOCOL_TLS_SERVER)
            context.num_tickets = 0
            context.options |= ssl.OP_NO_TICKET
            context.load_cert_chain(files.chain, files.key)
            context.leaf = x509.load_pem_x509_certificate(files.chain.read_bytes())
            self._contexts[files] = context
        return context


class _Server(ThreadingHTTPServer):
    """Takes connections in one thread, shakes hands and answers in another for each."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], front: ssl.SSLContext) -> None:
        self._front = front
        super().__init__(address, _Visit)

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        plain.settimeout(VISIT_TIMEOUT)
        return self._front.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Visitors who leave, dawdle or ask for unknown names are no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Visit(BaseHTTPRequestHandler):
    """One visitor: a handshake, then one page."""

    timeout = VISIT_TIMEOUT
    server_version = "sandbox-edge"
    sys_version = ""

    def setup(self) -> None:
        self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        leaf: x509.Certificate = self.request.context.leaf
        page = _PAGE.format(
            host=html.escape(self.headers.get("Host", "")[:255]),
            serial=f"{leaf.serial_number:x}",
            until=f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """No access log: the sandbox's terminal belongs to the story."""

"""A TLS proxy in front of an ACME server: notes what passes, and answers by itself where a test says so."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers import short_folder
from tests.tls import loopback_tls

PROBLEM = "urn:ietf:params:acme:error:"
_HOP_HEADERS = frozenset({"connection", "transfer-encoding", "content-length", "date", "server"})


@dataclass(frozen=True)
class Request:
    """What a client sent. `payload` is the content of the JWS, where there is one."""

    method: str
    path: str
    payload: Any


@dataclass(frozen=True)
class Answer:
    """What the proxy says instead of the server behind. `drops` cuts the connection without a word."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    drops: bool = False


def problem(kind: str, status: int, detail: str = "", **headers: str) -> Answer:
    """A problem document; header names with underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"type": kind if ":" in kind else PROBLEM + kind, "detail": detail}).encode()
    return Answer(status, body, {"Content-Type": "application/problem+json", **named})


#: Looks at a request and answers it, or leaves it to the server behind (None).
Rule = Callable[[Request], Answer | None]
#: Changes what the server behind has answered.
Edit = Callable[[Request, Answer], Answer]


@dataclass
class AcmeProxy:
    """`rule` may be set and changed at any time. After the server behind has answered, `spoil` may drop its answer.

    `front` and `edit` are another server's between client and proxy (see tests/ari_front.py): it is asked after `rule`,
    and may change what comes from behind. `clock_error` is how wrong the Date headers are.
    """

    port: int
    upstream_port: int
    rule: Rule = lambda _request: None
    spoil: Rule = lambda _request: None
    front: Rule = lambda _request: None
    edit: Edit = lambda _request, answer: answer
    clock_error: timedelta = timedelta(0)
    requests: list[Request] = field(default_factory=list)

    @property
    def directory_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def ca_bundle(self) -> str:
        return loopback_tls().ca_bundle

    def payloads(self, path: str) -> list[Any]:
        """The payloads of all POSTs to `path`."""
        return [one.payload for one in self.requests if one.path == path and one.method == "POST"]


def _handler(proxy: AcmeProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, _payload(body))
            proxy.requests.append(request)
            answer = proxy.rule(request) or proxy.front(request)
            answer = answer or proxy.edit(request, _forward(proxy, self, body))
            self._send(proxy.spoil(request) or answer)

        do_HEAD = do_POST = do_GET

        def _send(self, answer: Answer) -> None:
            if answer.drops:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else answer.body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            moment = time.time() if timestamp is None else timestamp
            return super().date_time_string(int(moment + proxy.clock_error.total_seconds()))

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler


def _payload(body: bytes) -> Any:
    text = json.loads(body)["payload"] if body else ""
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else None


def _forward(proxy: AcmeProxy, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
    """Host stays as it was: pebble writes its addresses after it, and so everything comes through here."""
    context = ssl.create_default_context(cadata=loopback_tls().ca_bundle)
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.upstream_port, context=context, timeout=20)
    try:
        kept = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP_HEADERS}
        connection.request(handler.command, handler.path, body or None, kept)
        answer = connection.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_HEADERS}
        return Answer(answer.status, answer.read(), headers)
    finally:
        connection.close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no fault of the proxy's."""


def _server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*loopback_tls().write(folder))
    return context


@contextmanager
def acme_proxy(directory_url: str) -> Iterator[AcmeProxy]:
    """Run a proxy in front of the server whose directory that is."""
    proxy = AcmeProxy(0, urlsplit(directory_url).port or 443)
    with short_folder("proxy") as folder:
        server = _QuietServer(("127.0.0.1", 0), _handler(proxy))
        server.socket = _server_context(folder).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

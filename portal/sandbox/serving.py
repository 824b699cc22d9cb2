"""A small web server in a thread, for the parts of the sandbox that people look at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _QuietHandler(WSGIRequestHandler):
    """Addresses hold signatures, so requests are not logged."""

    def log(self, *_args: Any) -> None:
        """Say nothing."""


class WebServer:
    """Serves one WSGI callable from `start` to `stop`."""

    def __init__(self, app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        self._app = app
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one."""
        self._server = make_server(host, port, self._app, threaded=True, request_handler=_QuietHandler)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and wait until the thread has ended. Safe to repeat."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join(timeout=5)
            self._server.server_close()
        self._server = self._thread = None

    @property
    def url(self) -> str:
        """Where it listens, while it does."""
        if self._server is None:
            raise RuntimeError("not started")
        return f"http://{self._server.host}:{self._server.port}"


def private_folder(folder: Path) -> Path:
    """`folder`, made readable by this user alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder

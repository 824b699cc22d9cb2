"""Faults that a cloud's servers have, for any cloud that speaks HTTP: the same list for each, the same way in."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from werkzeug.wrappers import Request, Response


class Fault(StrEnum):
    """LOST does what was asked and then cuts the connection; STALE answers as it did the time before."""

    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    HTML_502 = "html_502"
    RESET = "reset"
    LOST = "lost"
    SLOW = "slow"
    FORBIDDEN = "forbidden"
    BAD_CREDENTIALS = "bad_credentials"
    VANISHED = "vanished"
    STALE = "stale"


#: Longer than any time-out in these tests.
SLOW_SECONDS = 1.5


@dataclass
class Faults:
    """Which faults come next for which action; `key` narrows the memory of STALE to what was asked about."""

    refuse: Callable[[Fault], Response]
    _planned: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    _answers: dict[tuple[str, str], list[Response]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, action: str, fault: Fault | str, times: int = 1) -> None:
        """The next `times` calls of `action` ("*" is any) have this fault."""
        with self._lock:
            self._planned[action].extend([Fault(fault)] * times)

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def around(self, action: str, key: str, request: Request, apply: Callable[[], Response]) -> Response:
        """The answer to a call, or what its fault makes of it."""
        fault = self._next(action)
        if fault is Fault.RESET:
            return _cut(request)
        if fault is Fault.HTML_502:
            return Response(
                "<html><body><h1>502 Bad Gateway</h1></body></html>", 502, content_type="text/html"
            )
        if fault is Fault.SLOW:
            time.sleep(SLOW_SECONDS)
        if fault not in {None, Fault.LOST, Fault.STALE, Fault.SLOW}:
            return self.refuse(fault)
        return self._apply(fault, (action, key), request, apply)

    def _apply(
        self, fault: Fault | None, memory: tuple[str, str], request: Request, apply: Callable[[], Response]
    ) -> Response:
        earlier = self._answers[memory]
        if fault is Fault.STALE and earlier:
            return earlier[-1]
        answer = apply()
        if answer.status_code < 300:
            earlier.append(answer)
        return _cut(request) if fault is Fault.LOST else answer

    def _next(self, action: str) -> Fault | None:
        with self._lock:
            for name in (action, "*"):
                if self._planned.get(name):
                    return self._planned[name].popleft()
        return None


def _cut(request: Request) -> Response:
    """Reset the connection under the request; the answer goes nowhere."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)
    connection.close()
    return Response("", 500)


def faulty(
    app: Callable[..., Iterable[bytes]], faults: Faults, name: Callable[[Request], tuple[str, str]]
) -> Callable[..., Iterable[bytes]]:
    """A WSGI app with faults in front of it; `name` tells the action and what it is about."""

    def wrapped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        action, key = name(request)
        answer = faults.around(action, key, request, lambda: Response.from_app(app, environ, buffered=True))
        return answer(environ, start_response)

    return wrapped


def json_refusals(table: Mapping[Fault, tuple[int, Any]]) -> Callable[[Fault], Response]:
    """Refusals as JSON answers: fault → status and body."""
    import json

    def refuse(fault: Fault) -> Response:
        status, body = table[fault]
        return Response(json.dumps(body), status, content_type="application/json;charset=utf-8")

    return refuse

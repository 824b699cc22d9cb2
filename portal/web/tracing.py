"""A request id on every response and in every line logged while it is answered."""

from __future__ import annotations

import re
import secrets

import structlog
from flask import Flask, Response, g, request

_GIVEN = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _GIVEN.match(given) else secrets.token_hex(8)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id, path=request.path, method=request.method)


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    return response


def register(app: Flask) -> None:
    """First of all hooks, so that the others log with the id."""
    app.before_request(_begin)
    app.after_request(_end)

"""What a reader sees when something is refused or breaks."""

from __future__ import annotations

import structlog
from flask import Flask, Response, g
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.web.htmx import render, toast, wants_partial
from portal.web.messages import message_of

log = structlog.get_logger(__name__)

#: Domain codes that have a status of their own; any other refusal is 422.
STATUSES = {
    "already_hosted": 409,
    "certificate_not_found": 404,
    "deployment_not_found": 404,
    "dns_credential_in_use": 409,
    "dns_credential_name_taken": 409,
    "dns_credential_not_found": 404,
    "duplicate_upload": 409,
    "forbidden": 403,
    "hosting_not_found": 404,
    "not_found": 404,
    "order_already_open": 409,
    "order_not_found": 404,
    "renewal_not_found": 404,
    "unknown_gateway": 404,
}


def _texts(status: int) -> tuple[str, str]:
    known = {
        400: (_("The request cannot be read"), _("Reload the page and try again.")),
        403: (_("Not allowed"), _("Your role in this organisation does not allow this. Ask an owner.")),
        404: (_("Nothing here"), _("The address is wrong, or what it led to is gone or belongs to somebody else.")),
        405: (_("Not like this"), _("This address cannot be opened in this way.")),
        413: (_("Too large"), _("Uploads are limited to 256 KiB. A certificate with its key is far smaller.")),
        422: (_("This cannot be done"), _("The reason is given above.")),
        429: (_("Too many tries"), _("Please wait a little and try again.")),
        500: (_("Something broke on our side"), _("It has been noted. Try again; if it stays, quote the request id.")),
    }  # fmt: skip
    return known.get(status, known[500] if status >= 500 else known[400])


def error_response(status: int, message: str | None = None) -> Response:
    """An error page, or a message in the corner where htmx asked."""
    title, text = _texts(status)
    request_id = g.get("request_id", "")
    if wants_partial():
        shown = message or (f"{title} ({request_id})" if status >= 500 else f"{title}. {text}")
        return toast(shown, status=status)
    return render(
        "errors/error.html",
        status=status,
        heading=title,
        text=message or text,
        request_id=request_id,
        code=status,
    )


def _on_http(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    return error_response(error.code or 500)


def _on_csrf(_error: CSRFError) -> Response:
    return error_response(
        400, _("The form was open too long, or was sent from elsewhere. Reload the page and send it again.")
    )


def _on_refusal(error: DomainError) -> Response:
    db.session.rollback()
    return error_response(STATUSES.get(error.code, 422), message_of(error))


def _on_outside(error: AdapterError) -> Response:
    db.session.rollback()
    log.warning("outside_call_failed", code=error.code, permanent=error.permanent)
    return error_response(422 if error.permanent else 503, message_of(error))


def _on_crash(error: Exception) -> Response:
    db.session.rollback()
    log.error("request_failed", exc_info=error)
    return error_response(500)


def register(app: Flask) -> None:
    """Hand each kind of failure to its page."""
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(CSRFError, _on_csrf)
    app.register_error_handler(DomainError, _on_refusal)
    app.register_error_handler(AdapterError, _on_outside)
    app.register_error_handler(Exception, _on_crash)

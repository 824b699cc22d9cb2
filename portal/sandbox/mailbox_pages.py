"""The mailbox's web view. A mail's own HTML is shown in a sandboxed frame with a policy of its own: no script, no
network, no forms; links open in a new tab.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Protocol

from jinja2 import Environment, PackageLoader
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_TEMPLATES = Environment(loader=PackageLoader("portal", "templates/sandbox"), autoescape=True)
_TEMPLATES.filters["header"] = lambda message, name: str(message.get(name, ""))

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)

_RULES = Map(
    [
        Rule("/", endpoint="index"),
        Rule("/messages/<mail_id>", endpoint="message"),
        Rule("/messages/<mail_id>/html", endpoint="html"),
        Rule("/messages/<mail_id>/source", endpoint="source"),
        Rule("/api/messages", endpoint="api"),
        Rule("/mailbox.css", endpoint="style"),
    ]
)


class Mail(Protocol):
    """What a page needs of a stored mail."""

    @property
    def id(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def recipients(self) -> tuple[str, ...]: ...
    @property
    def message(self) -> EmailMessage: ...


class MailboxPages:
    """A WSGI application over a list of mails (the newest first) and a look-up by id."""

    def __init__(
        self, list_mails: Callable[[], Sequence[Mail]], find_mail: Callable[[str], Mail | None]
    ) -> None:
        self._list = list_mails
        self._find = find_mail

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = self._answer(Request(environ))
        except HTTPException as error:
            response = Response(f"{error.code} {error.name}\n", error.code)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(["GET", "HEAD"])
        endpoint, values = _RULES.bind_to_environ(request.environ).match()
        view: Callable[..., Response] = getattr(self, f"_{endpoint}")
        return view(request, **values)

    def _index(self, _request: Request) -> Response:
        return _page("mailbox.html", mails=self._list(), chosen=None)

    def _message(self, request: Request, mail_id: str) -> Response:
        mail = self._get(mail_id)
        tab = "text" if request.args.get("tab") == "text" or not _body(mail.message, "html") else "html"
        text = _body(mail.message, "plain")
        return _page("mailbox.html", mails=self._list(), chosen=mail, tab=tab, text=text)

    def _html(self, _request: Request, mail_id: str) -> Response:
        html = _body(self._get(mail_id).message, "html").replace("<head>", '<head><base target="_blank">', 1)
        return Response(html, mimetype="text/html", headers=_headers(_MAIL_POLICY))

    def _source(self, _request: Request, mail_id: str) -> Response:
        source = self._get(mail_id).message.as_bytes()
        return Response(source, mimetype="text/plain", headers=_headers(_MAIL_POLICY))

    def _api(self, _request: Request) -> Response:
        mails = [_summary(mail) for mail in self._list()]
        answer = json.dumps({"count": len(mails), "messages": mails}, ensure_ascii=False)
        return Response(answer, mimetype="application/json", headers=_headers(_PAGE_POLICY))

    def _style(self, _request: Request) -> Response:
        css = _TEMPLATES.get_template("mailbox.css").render()
        return Response(css, mimetype="text/css", headers={"X-Content-Type-Options": "nosniff"})

    def _get(self, mail_id: str) -> Mail:
        mail = self._find(mail_id)
        if mail is None:
            raise NotFound
        return mail


def _summary(mail: Mail) -> dict[str, Any]:
    message = mail.message
    return {
        "id": mail.id,
        "received_at": mail.received_at.isoformat(),
        "to": list(mail.recipients),
        "subject": str(message.get("Subject", "")),
        "message_id": str(message.get("Message-ID", "")).strip(),
        "language": str(message.get("Content-Language", "")),
        "text": _body(message, "plain"),
    }


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if isinstance(part, EmailMessage) else ""


def _page(template: str, **context: object) -> Response:
    html = _TEMPLATES.get_template(template).render(**context)
    return Response(html, mimetype="text/html", headers=_headers(_PAGE_POLICY))


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }

"""The sandbox's payment gateway: a payment page, signed notifications in the background, signed queries."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import requests
from jinja2 import Environment, PackageLoader
from werkzeug.wrappers import Request, Response

from portal.adapters.payment.sandbox import (
    ACCEPTED,
    ANSWER,
    CLOSED,
    NOTIFY,
    PAY,
    QUERY,
    SUCCESS,
    UNKNOWN,
    is_genuine,
    sign,
    timestamp,
)
from portal.domain.money import Money
from portal.sandbox.payment_texts import texts_for
from portal.sandbox.serving import WebServer
from portal.sandbox.trades import Trade, Trades

#: Seconds before the 1st, 2nd, … try to tell the merchant a result; afterwards the last one, for ever.
NOTIFY_INTERVALS: Sequence[float] = (0, 1, 2, 5, 10, 30, 60, 300)
NOTIFY_TIMEOUT = 10.0

#: How old a signed request may be, and how far ahead of our clock.
FRESH_FOR = timedelta(minutes=15)

_PARAMETERS = ("app_id", "out_trade_no", "total_amount", "currency", "subject", "return_url", "notify_url")
_TEMPLATES = Environment(loader=PackageLoader("portal", "templates/sandbox"), autoescape=True)


class SandboxPayment:
    """The gateway. Trades are kept in `folder` (0700); results that nobody took in are told again after a restart."""

    def __init__(self, folder: Path, secret: str, intervals: Sequence[float] = NOTIFY_INTERVALS) -> None:
        if not secret:
            raise ValueError("the sandbox gateway needs a secret")
        self._trades = Trades(folder)
        self._secret = secret
        self._intervals = intervals
        self._stopping = threading.Event()
        self._server = WebServer(Request.application(self._answer))

    def start(self, host: str, port: int) -> None:
        """Listen, and take up notifications that were not taken in yet."""
        self._stopping.clear()
        self._server.start(host, port)
        for trade in self._trades.untold():
            self._notify_in_background(trade)

    def stop(self) -> None:
        """Stop listening and notifying. Safe to repeat."""
        self._stopping.set()
        self._server.stop()

    @property
    def url(self) -> str:
        """What PORTAL_PAYMENT_SANDBOX_URL should be."""
        return self._server.url

    def _answer(self, request: Request) -> Response:
        routes: Mapping[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/pay"): self._show,
            ("POST", "/pay"): self._decide,
            ("POST", "/query"): self._query,
            ("GET", "/style.css"): _style,
        }
        route = routes.get((request.method, request.path))
        return route(request) if route else Response("not found\n", 404)

    def _show(self, request: Request) -> Response:
        """The payment page of a genuine, fresh request."""
        message = request.args.to_dict()
        if not self._is_pay_request(message):
            return _page("refused.html", message, 400)
        trade = self._trades.open(message)
        return _page("pay.html", message, 200, trade=trade, fields=message)

    def _decide(self, request: Request) -> Response:
        """Pay or refuse; then back to the merchant's page while the merchant is told behind it."""
        message = {name: value for name, value in request.form.items() if name != "decision"}
        decision = request.form.get("decision")
        if not self._is_pay_request(message) or decision not in ("pay", "refuse"):
            return _page("refused.html", message, 400)
        trade = self._trades.settle(self._trades.open(message), SUCCESS if decision == "pay" else CLOSED)
        if not trade.is_notified:
            self._notify_in_background(trade)
        return Response(status=303, headers={"Location": trade.return_url, **_headers(trade.return_url)})

    def _query(self, request: Request) -> Response:
        """What became of a trade, to the merchant whose trade it is."""
        message = request.form.to_dict()
        if not is_genuine(message, self._secret, QUERY) or not _is_fresh(message):
            return Response("refused\n", 403)
        trade = self._trades.find(message.get("app_id", ""), message.get("out_trade_no", ""))
        if trade is None:
            parts = {"app_id": message.get("app_id", ""), "out_trade_no": message.get("out_trade_no", "")}
            answer = {**parts, "method": ANSWER, "timestamp": timestamp(), "trade_status": UNKNOWN}
        else:
            answer = _result(trade, ANSWER)
        return Response(json.dumps(sign(answer, self._secret)), mimetype="application/json")

    def _is_pay_request(self, message: Mapping[str, str]) -> bool:
        return (
            is_genuine(message, self._secret, PAY)
            and _is_fresh(message)
            and all(message.get(name) for name in _PARAMETERS)
            and _is_amount(message["total_amount"])
            and urlsplit(message["return_url"]).scheme in ("http", "https")
        )

    def _notify_in_background(self, trade: Trade) -> None:
        threading.Thread(target=partial(self._notify, trade), daemon=True).start()

    def _notify(self, trade: Trade) -> None:
        """Tell the merchant until the answer is exactly "success"."""
        attempt = 0
        while not self._stopping.wait(self._intervals[min(attempt, len(self._intervals) - 1)]):
            attempt += 1
            if _is_taken_in(trade.notify_url, sign(_result(trade, NOTIFY), self._secret)):
                self._trades.mark_notified(trade)
                return


def _is_taken_in(url: str, message: Mapping[str, str]) -> bool:
    try:
        response = requests.post(url, data=message, timeout=NOTIFY_TIMEOUT, allow_redirects=False)
    except requests.RequestException:
        return False
    return response.status_code == 200 and response.text == ACCEPTED


def _result(trade: Trade, method: str) -> dict[str, str]:
    """The message that says what became of a trade."""
    return {
        "app_id": trade.app_id,
        "method": method,
        "timestamp": timestamp(),
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no,
        "total_amount": trade.total_amount,
        "currency": trade.currency,
        "trade_status": trade.trade_status,
    }


def _is_fresh(message: Mapping[str, str]) -> bool:
    try:
        made_at = datetime.strptime(message["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return False
    return abs(datetime.now(UTC) - made_at) <= FRESH_FOR


def _is_amount(text: str) -> bool:
    try:
        return Money.from_decimal(text).fen > 0
    except ValueError:
        return False


def _page(template: str, message: Mapping[str, str], status: int, **context: object) -> Response:
    locale = "zh" if message.get("locale", "").startswith("zh") else "en"
    html = _TEMPLATES.get_template(template).render(t=texts_for(locale), locale=locale, **context)
    return Response(html, status, _headers(message.get("return_url", "")), mimetype="text/html")


def _headers(return_url: str) -> dict[str, str]:
    """The form's answer leads to the merchant, whose origin form-action has to name."""
    back = urlsplit(return_url)
    origin = f"{back.scheme}://{back.netloc}" if back.netloc and not set(back.netloc) & set("; ,'\"") else ""
    policy = (
        f"default-src 'none'; style-src 'self'; img-src data:; form-action 'self' {origin}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _style(_request: Request) -> Response:
    css = _TEMPLATES.get_template("pay.css").render()
    return Response(css, mimetype="text/css", headers={"X-Content-Type-Options": "nosniff"})

"""The sandbox's payment gateway for tests: the real one, on a free port, that does not notify by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import requests

from portal.adapters.payment.sandbox import NOTIFY, SUCCESS, sign, timestamp
from portal.sandbox.payment import SandboxPayment

SECRET = "test-payment-secret"

#: Longer than any test: notifications are delivered by hand.
NEVER = (3_600.0,)


@contextmanager
def sandbox_gateway(folder: Path, intervals: tuple[float, ...] = NEVER) -> Iterator[SandboxPayment]:
    """A running gateway; with the usual `intervals` it tells nobody of a result unless it is asked."""
    gateway = SandboxPayment(folder, SECRET, intervals)
    gateway.start("127.0.0.1", 0)
    try:
        yield gateway
    finally:
        gateway.stop()


def visit(pay_url: str) -> requests.Response:
    """Open the payment page, as the customer's browser would."""
    return requests.get(pay_url, timeout=10)


def decide(pay_url: str, decision: str = "pay") -> requests.Response:
    """Press the button on the payment page."""
    message = dict(parse_qsl(urlsplit(pay_url).query))
    address = pay_url.partition("?")[0]
    return requests.post(address, data={**message, "decision": decision}, timeout=10, allow_redirects=False)


def notification(
    app_id: str,
    merchant_number: str,
    amount: str,
    *,
    trade_number: str = "SBX1",
    status: str = SUCCESS,
    currency: str = "CNY",
    secret: str = SECRET,
) -> dict[str, str]:
    """A signed notification."""
    message = {
        "app_id": app_id,
        "method": NOTIFY,
        "timestamp": timestamp(),
        "out_trade_no": merchant_number,
        "trade_no": trade_number,
        "total_amount": amount,
        "currency": currency,
        "trade_status": status,
    }
    return sign(message, secret)

"""The sandbox gateway: signed addresses, signed notifications and signed queries, as real gateways have them.

Every message is a flat set of texts. Its signature is HMAC-SHA256 over the URL-encoded parameters in sorted
order, without the signature itself; `method` is among them, so that no kind of message passes for another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

import requests

from portal.adapters.errors import AdapterError
from portal.adapters.payment.base import PaymentRequest, PaymentResult
from portal.domain.money import Money
from portal.settings import Settings

PAY, NOTIFY, QUERY, ANSWER = "trade.pay", "trade.notify", "trade.query", "trade.query.answer"
SUCCESS, CLOSED, WAITING, UNKNOWN = "TRADE_SUCCESS", "TRADE_CLOSED", "WAIT_BUYER_PAY", "TRADE_NOT_EXIST"
ACCEPTED = "success"


def signature(parameters: Mapping[str, str], secret: str) -> str:
    """The signature of a message (lower-case hex)."""
    signed = sorted((name, value) for name, value in parameters.items() if name != "sign")
    return hmac.new(secret.encode(), urlencode(signed).encode(), hashlib.sha256).hexdigest()


def sign(parameters: Mapping[str, str], secret: str) -> dict[str, str]:
    """The message with its signature."""
    return {**parameters, "sign": signature(parameters, secret)}


def is_genuine(parameters: Mapping[str, str], secret: str, method: str) -> bool:
    """Whether the message is of that kind and signed by us; compared in constant time."""
    given = parameters.get("sign", "").encode("utf-8", "replace")
    right = signature(parameters, secret).encode()
    return hmac.compare_digest(given, right) and parameters.get("method") == method


def timestamp() -> str:
    """Now, as messages write it (UTC)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def app_id_of(settings: Settings) -> str:
    """By what name a gateway knows this installation: its host and port."""
    return urlsplit(settings.base_url).netloc


class SandboxGateway:
    """A client of portal.sandbox.payment."""

    accepted_answer = ACCEPTED

    def __init__(self, settings: Settings) -> None:
        self._url = settings.payment_sandbox_url
        self._secret = settings.payment_sandbox_secret
        self._app_id = app_id_of(settings)
        self._timeout = settings.step_timeout

    def pay_url(self, request: PaymentRequest) -> str:
        """The signed address of the payment page."""
        parameters = self._message(PAY, request.merchant_number) | {
            "total_amount": request.amount.decimal(),
            "currency": request.amount.currency,
            "subject": request.subject,
            "return_url": request.return_url,
            "notify_url": request.notify_url,
            "locale": request.locale,
        }
        return f"{self._url}/pay?{urlencode(sign(parameters, self._secret))}"

    def read_notification(self, form: Mapping[str, str]) -> PaymentResult:
        """Read a notification. Raises AdapterError("payment_not_genuine")."""
        self._require_secret()
        return self._read(dict(form), NOTIFY)

    def query(self, merchant_number: str) -> PaymentResult | None:
        """Ask what became of a payment. Raises AdapterError."""
        message = sign(self._message(QUERY, merchant_number), self._secret)
        answer = self._post(message)
        if not is_genuine(answer, self._secret, ANSWER) or answer.get("out_trade_no") != merchant_number:
            raise AdapterError("payment_not_genuine", permanent=True)
        return None if answer.get("trade_status") == UNKNOWN else self._read(answer, ANSWER)

    def _read(self, message: Mapping[str, str], method: str) -> PaymentResult:
        if not is_genuine(message, self._secret, method) or message.get("app_id") != self._app_id:
            raise AdapterError("payment_not_genuine", permanent=True)
        try:
            return PaymentResult(
                merchant_number=message["out_trade_no"],
                trade_number=message["trade_no"],
                amount=Money.from_decimal(message["total_amount"], message["currency"]),
                is_paid=message["trade_status"] == SUCCESS,
            )
        except (KeyError, ValueError):
            raise AdapterError("payment_not_genuine", permanent=True) from None

    def _post(self, message: Mapping[str, str]) -> dict[str, str]:
        try:
            response = requests.post(
                f"{self._url}/query", data=message, timeout=self._timeout, allow_redirects=False
            )
        except requests.RequestException:
            raise AdapterError("payment_unavailable", permanent=False) from None
        if response.status_code >= 500:
            raise AdapterError("payment_unavailable", permanent=False)
        if response.status_code != 200:
            raise AdapterError("payment_refused", permanent=True, status=response.status_code)
        return _flat(response)

    def _message(self, method: str, merchant_number: str) -> dict[str, str]:
        self._require_secret()
        return {
            "app_id": self._app_id,
            "method": method,
            "timestamp": timestamp(),
            "out_trade_no": merchant_number,
        }

    def _require_secret(self) -> None:
        """With an empty secret anybody could sign."""
        if not self._secret or not self._url:
            raise AdapterError("payment_not_configured", permanent=True)


def _flat(response: requests.Response) -> dict[str, str]:
    try:
        answer = response.json()
    except ValueError:
        raise AdapterError("payment_unavailable", permanent=False) from None
    if not isinstance(answer, dict):
        raise AdapterError("payment_unavailable", permanent=False)
    return {str(name): str(value) for name, value in answer.items()}

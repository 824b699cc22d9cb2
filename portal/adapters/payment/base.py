"""What a payment gateway is asked, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from portal.domain.money import Money


@dataclass(frozen=True)
class PaymentRequest:
    """`merchant_number` is ours, unique per try; the customer goes back to `return_url`, the result to `notify_url`."""

    merchant_number: str
    amount: Money
    subject: str
    return_url: str
    notify_url: str
    locale: str


@dataclass(frozen=True)
class PaymentResult:
    """What a gateway says of a payment, its signature and addressee already checked. The caller checks the amount."""

    merchant_number: str
    trade_number: str
    amount: Money
    is_paid: bool


class PaymentGateway(Protocol):
    """All calls raise AdapterError; a notification that is not genuine raises the permanent "payment_not_genuine"."""

    #: What a gateway wants to read as the whole answer to a notification that was taken in.
    accepted_answer: str

    def pay_url(self, request: PaymentRequest) -> str:
        """The signed address of the gateway's payment page."""
        ...

    def read_notification(self, form: Mapping[str, str]) -> PaymentResult:
        """Check the signature and the addressee of a notification and read it."""
        ...

    def query(self, merchant_number: str) -> PaymentResult | None:
        """Ask the gateway what became of a payment; None if it never heard of it."""
        ...

"""An order: what a customer has agreed to pay, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum


class OrderState(StrEnum):
    OPEN = "open"
    PAID = "paid"
    FULFILLED = "fulfilled"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DISPUTED = "disputed"


class OrderEvent(StrEnum):
    PAY = "pay"
    FULFIL = "fulfil"
    EXPIRE = "expire"
    CANCEL = "cancel"
    PAY_LATE = "pay_late"


class OrderKind(StrEnum):
    NEW = "new"
    EXISTING = "existing"


#: An open order holds its price this long; after it a new one must be made.
OPEN_FOR = timedelta(minutes=30)

#: A paid order always ends fulfilled, or disputed: money that buys nothing is an operator's case.
TRANSITIONS: Mapping[tuple[OrderState, OrderEvent], OrderState] = {
    (OrderState.OPEN, OrderEvent.PAY): OrderState.PAID,
    (OrderState.OPEN, OrderEvent.EXPIRE): OrderState.EXPIRED,
    (OrderState.OPEN, OrderEvent.CANCEL): OrderState.CANCELLED,
    (OrderState.PAID, OrderEvent.FULFIL): OrderState.FULFILLED,
    (OrderState.EXPIRED, OrderEvent.PAY_LATE): OrderState.DISPUTED,
    (OrderState.CANCELLED, OrderEvent.PAY_LATE): OrderState.DISPUTED,
}


class PaymentState(StrEnum):
    STARTED = "started"
    PAID = "paid"
    REFUSED = "refused"
    CLOSED = "closed"

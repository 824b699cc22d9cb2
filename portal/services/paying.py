"""Sending a customer to the gateway to pay an order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from portal.adapters.payment.base import PaymentGateway, PaymentRequest
from portal.adapters.payment.registry import connect
from portal.domain.errors import DomainError
from portal.domain.order import OrderState, PaymentState
from portal.extensions import db
from portal.models.order import Order, Payment
from portal.models.types import new_id
from portal.services.operations import leave_transaction, settings

#: How long after a customer went to pay the gateway is asked, in case its notification got lost (fault 27).
ASK_AFTER = timedelta(seconds=20)


@dataclass(frozen=True)
class Addresses:
    """Where the gateway sends the customer back to, and where it tells us the result."""

    return_url: str
    notify_url: str


def gateway_named(name: str) -> PaymentGateway:
    """Raises DomainError("unknown_gateway")."""
    try:
        return connect(name, settings())
    except KeyError:
        raise DomainError("unknown_gateway") from None


def start(order: Order, addresses: Addresses, subject: str, locale: str, now: datetime) -> str:
    """The address of the gateway's page for this order. Called again it names the same payment: one charge.

    Raises DomainError("order_not_open"), AdapterError.
    """
    if order.state is not OrderState.OPEN or now >= order.expires_at:
        raise DomainError("order_not_open")
    # Counted before looking: a payment that another click makes in between is then either seen or has the same number.
    tries = db.session.scalar(select(func.count()).where(Payment.order_id == order.id)) or 0
    payment = _started(order) or _new_payment(order, tries, now)
    gateway = gateway_named(payment.gateway)
    leave_transaction()
    request = PaymentRequest(
        merchant_number=payment.merchant_number,
        amount=order.total,
        subject=subject,
        return_url=addresses.return_url,
        notify_url=addresses.notify_url,
        locale=locale,
    )
    return gateway.pay_url(request)


def _started(order: Order) -> Payment | None:
    query = select(Payment).where(Payment.order_id == order.id, Payment.state == PaymentState.STARTED)
    return db.session.scalar(query)


def _new_payment(order: Order, tries: int, now: datetime) -> Payment:
    """Add a payment whose number follows from the order's: of two at the same moment one wins, both use it."""
    payment = Payment(
        id=new_id(),
        order_id=order.id,
        gateway=settings().payment_gateway,
        merchant_number=f"{order.number}-{tries + 1}",
        state=PaymentState.STARTED,
        amount_fen=order.total_fen,
        currency=order.currency,
        created_at=now,
    )
    db.session.add(payment)
    ask_at = min(order.expires_at, now + ASK_AFTER)
    still_open = update(Order).where(Order.id == order.id, Order.state == OrderState.OPEN)
    try:
        db.session.execute(still_open.values(next_attempt_at=ask_at, rung_until=None))
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        existing = _started(order)
        if existing is None:
            raise DomainError("order_not_open") from None
        return existing
    return payment


def ask_now(order: Order, now: datetime) -> None:
    """Have the gateway asked at once: the customer came back and no notification did."""
    waiting = update(Order).where(
        Order.id == order.id,
        Order.state == OrderState.OPEN,
        Order.next_attempt_at > now + timedelta(seconds=2),
    )
    db.session.execute(waiting.values(next_attempt_at=now + timedelta(seconds=2), rung_until=None))
    db.session.commit()

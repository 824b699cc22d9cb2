"""An order as an operation: it asks after its payment, expires, or turns hosting on for what was paid."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import update

from portal.adapters.payment.base import PaymentResult
from portal.domain.notices import NoticeKind
from portal.domain.order import TRANSITIONS, OrderEvent, OrderState, PaymentState
from portal.domain.pricing import Item
from portal.domain.renewal import poll_after
from portal.extensions import db
from portal.models.order import Order, OrderLine, Payment
from portal.queue import JobName
from portal.services import crediting, paying, turning_on
from portal.services.noticing import tell_operators
from portal.services.operations import Advance, Kind, Wait, leave_transaction

#: Looks at the gateway begin where POLL_INTERVALS has 10 seconds: somebody is typing a password there.
FIRST_POLL = 3


def ask_or_expire(order: Order, now: datetime) -> Advance | Wait:
    """OPEN: ask the gateway after payments that were started (fault 27); expire only once it has said no."""
    started = [payment for payment in order.payments if payment.state is PaymentState.STARTED]
    leave_transaction()
    for payment in started:
        result = paying.gateway_named(payment.gateway).query(payment.merchant_number)
        if result is not None and result.is_paid:
            return _paid(order, payment, result, now)
    if now >= order.expires_at:
        return Advance(OrderEvent.EXPIRE, due_at=None, then=lambda: close(order))
    if not started:
        return Wait(order.expires_at)
    return Wait(min(order.expires_at, now + max(poll_after(order.polls + FIRST_POLL), timedelta(seconds=10))))


def _paid(order: Order, payment: Payment, result: PaymentResult, now: datetime) -> Advance:
    crediting.check(payment, result)

    def then() -> None:
        db.session.refresh(order)
        db.session.refresh(payment)
        crediting.settle(order, payment, result, now)

    return Advance(OrderEvent.PAY, due_at=now, values={"paid_at": now}, then=then)


def fulfil(order: Order, now: datetime) -> Advance:
    """PAID: the hosting and the first renewal of every hosted line, in the transaction that fulfils the order."""
    lines = [line for line in order.lines if line.item is Item.HOSTING]
    turning_on.check_still_possible(lines)

    def then() -> None:
        for line in lines:
            turning_on.turn_on(line, order.organisation_id, order.created_by_id, now)
        release(order)

    return Advance(OrderEvent.FULFIL, due_at=None, then=then)


def release(order: Order) -> None:
    """Let other orders for the same certificates be made, within the caller's transaction."""
    db.session.execute(
        update(OrderLine).where(OrderLine.order_id == order.id).values(open_certificate_id=None)
    )


def close(order: Order) -> None:
    """Close what an order leaves behind when nothing was paid, within the caller's transaction."""
    release(order)
    left = update(Payment).where(Payment.order_id == order.id, Payment.state == PaymentState.STARTED)
    db.session.execute(left.values(state=PaymentState.CLOSED))


def call_operator(order: Order, now: datetime) -> None:
    """A paid order that cannot be fulfilled, or a payment nobody can ask after, is an operator's case."""
    tell_operators(
        db.session(),
        NoticeKind.ACTION_REQUIRED,
        subject_type="orders",
        subject_id=order.id,
        params={"number": order.number, "error_code": order.error_code, "error_params": order.error_params},
        now=now,
    )


KIND: Kind[Order] = Kind(
    name="order",
    model=Order,
    transitions=TRANSITIONS,
    steps={OrderState.OPEN: ask_or_expire, OrderState.PAID: fulfil},
    job=JobName.ADVANCE_ORDERS,
    on_stop=call_operator,
)

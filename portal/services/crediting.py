"""Believing what a gateway signed, and nothing else: a payment counts once, for its own order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.adapters.errors import AdapterError
from portal.adapters.payment.base import PaymentResult
from portal.domain.errors import DomainError
from portal.domain.notices import NoticeKind
from portal.domain.order import TRANSITIONS, OrderEvent, OrderState, PaymentState
from portal.domain.states import advance
from portal.extensions import db
from portal.models.order import Order, Payment
from portal.queue import JobName, enqueue_after_commit
from portal.services.acting import note_change
from portal.services.auditing import audit
from portal.services.noticing import tell
from portal.services.paying import gateway_named


def take_notification(name: str, form: Mapping[str, str], ip_address: str | None, now: datetime) -> str:
    """Take in what a gateway says and return the answer it wants to read.

    Safe to repeat and to run at once with itself: a payment counts once. A refusal is audited and raised:
    AdapterError("payment_not_genuine"), DomainError: unknown_gateway, payment_unknown, payment_wrong_amount,
    payment_replayed.
    """
    gateway = gateway_named(name)
    try:
        result = gateway.read_notification(form)
        payment = _find(name, result.merchant_number)
        if result.is_paid:
            record(payment, result, f"gateway:{name}", now)
        else:
            _note_refused(payment)
    except (AdapterError, DomainError) as error:
        db.session.rollback()
        _audit_refusal(name, error.code, form.get("out_trade_no", ""), ip_address, now)
        raise
    return gateway.accepted_answer


def _find(gateway_name: str, merchant_number: str) -> Payment:
    query = select(Payment).where(Payment.merchant_number == merchant_number, Payment.gateway == gateway_name)
    payment = db.session.scalar(query)
    if payment is None:
        raise DomainError("payment_unknown")
    return payment


def _note_refused(payment: Payment) -> None:
    """The customer, or the gateway, turned this try down; the order stays open for another one."""
    tried = update(Payment).where(Payment.id == payment.id, Payment.state == PaymentState.STARTED)
    db.session.execute(tried.values(state=PaymentState.REFUSED))
    db.session.commit()


def record(payment: Payment, result: PaymentResult, actor: str, now: datetime) -> None:
    """Write down that a payment came in, exactly once. Raises DomainError: payment_wrong_amount, payment_replayed.

     1. the order is paid if it is open (conditional UPDATE; it also makes a second notification wait for us);
     2. if it was not: a duplicate of what is recorded changes nothing; anything else is money for an operator;
     3. the payment takes its trade number, which is unique over all payments: a replay to another order fails here.
    The claim of a worker that asks the gateway just now is taken over: its fence no longer holds.
    """
    check(payment, result)
    order = payment.order
    paid = update(Order).where(Order.id == order.id, Order.state == OrderState.OPEN)
    values = {"state": OrderState.PAID, "paid_at": now, "next_attempt_at": now, "fence": Order.fence + 1}
    freed = {"lease_owner": None, "lease_until": None, "rung_until": None, "attempts": 0, "polls": 0}
    unstopped = {"stopped_at": None, "error_code": None, "error_params": None}
    outcome = db.session.execute(
        paid.values(**values, **freed, **unstopped).execution_options(synchronize_session=False)
    )
    db.session.refresh(payment)
    db.session.refresh(order)
    if outcome.rowcount == 1:  # type: ignore[attr-defined]
        change = (OrderState.OPEN.value, OrderEvent.PAY, OrderState.PAID)
        note_change("orders", order.id, change, actor, now)
        enqueue_after_commit(db.session(), JobName.ADVANCE_ORDERS, [order.id])
    elif payment.state is PaymentState.PAID:
        db.session.rollback()
        return
    else:
        _dispute(order, payment, actor, now)
    try:
        settle(order, payment, result, now)
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise DomainError("payment_replayed") from None


def check(payment: Payment, result: PaymentResult) -> None:
    """Raise DomainError where a genuine result does not fit the payment: payment_wrong_amount, payment_replayed."""
    if (result.amount.fen, result.amount.currency) != (payment.amount_fen, payment.currency):
        raise DomainError("payment_wrong_amount")
    if payment.trade_number not in (None, result.trade_number):
        raise DomainError("payment_replayed")


def settle(order: Order, payment: Payment, result: PaymentResult, now: datetime) -> None:
    """Mark the payment as paid and tell the customer, within the caller's transaction."""
    payment.state, payment.trade_number, payment.paid_at = PaymentState.PAID, result.trade_number, now
    db.session.flush()
    if order.state is OrderState.PAID:
        tell(
            db.session(),
            order.organisation_id,
            NoticeKind.ORDER_PAID,
            subject_type="orders",
            subject_id=order.id,
            params={"number": order.number, "total_fen": order.total_fen, "currency": order.currency},
            now=now,
        )


def _dispute(order: Order, payment: Payment, actor: str, now: datetime) -> None:
    """Money that buys nothing: after the order closed (late), or beside another payment of it (double)."""
    action = "payment.double"
    if order.state in (OrderState.EXPIRED, OrderState.CANCELLED):
        action, from_state = "payment.late", order.state
        order.state = advance(TRANSITIONS, from_state, OrderEvent.PAY_LATE)
        note_change("orders", order.id, (from_state.value, OrderEvent.PAY_LATE, order.state), actor, now)
    audit(
        db.session(),
        action,
        ("payments", payment.id),
        actor,
        now,
        organisation_id=order.organisation_id,
        params={"order": order.number},
    )


def _audit_refusal(name: str, code: str, number: str, ip_address: str | None, now: datetime) -> None:
    payment = db.session.scalar(select(Payment).where(Payment.merchant_number == number[:64]))
    audit(
        db.session(),
        "payment.refuse",
        ("payments", payment.id if payment else ""),
        f"gateway:{name}"[:64],
        now,
        organisation_id=payment.order.organisation_id if payment else None,
        params={"code": code, "number": "".join(filter(str.isalnum, number))[:64]},
        ip=ip_address,
    )
    db.session.commit()

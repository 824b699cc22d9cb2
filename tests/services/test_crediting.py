"""Payments coming in: faults 25 and 26."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.adapters.errors import AdapterError
from portal.adapters.payment.sandbox import CLOSED
from portal.domain.errors import DomainError
from portal.domain.order import OPEN_FOR, OrderState, PaymentState
from portal.extensions import db
from portal.models.history import AuditEntry, HistoryEntry
from portal.models.hosting import Hosting
from portal.models.notice import Notice
from portal.models.order import Order, Payment
from portal.sandbox.payment import SandboxPayment
from portal.services import buying, crediting
from portal.services.acting import Actor
from portal.services.driving import drive
from portal.services.order_steps import KIND
from tests import gateway as gate
from tests import pki
from tests.factories import Cast, Factory
from tests.services.orders import count, fresh, in_threads, notify, pay


@pytest.fixture
def overrides(sandbox: SandboxPayment) -> dict[str, Any]:
    return {"payment_sandbox_url": sandbox.url}


def test_notification_twice_counts_once(some_app: Flask, order: Order, now: datetime) -> None:
    pay(order, now)
    notify(some_app, order, now)
    drive(KIND, order.id, lambda: now)
    assert notify(some_app, order, now) == "success"
    assert (count(Hosting), count(AuditEntry)) == (1, 1)
    assert fresh(order).state is OrderState.FULFILLED


def test_notifications_at_the_same_moment_count_once(some_app: Flask, order: Order, now: datetime) -> None:
    pay(order, now)
    db.session.remove()

    def told() -> str:
        return notify(some_app, order, now)

    assert in_threads(some_app, told, 6) == ["success"] * 6
    history = db.session.scalars(select(HistoryEntry).where(HistoryEntry.event == "pay")).all()
    assert len(history) == 1
    assert count(Notice) == 1
    assert fresh(order).state is OrderState.PAID


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"amount": "0.01"}, "payment_wrong_amount"),
        ({"amount": "4690.00"}, "payment_wrong_amount"),
        ({"currency": "USD"}, "payment_wrong_amount"),
        ({"secret": "guessed"}, "payment_not_genuine"),
        ({"merchant_number": "nonsense"}, "payment_unknown"),
    ],
)
def test_wrong_notification_is_refused_and_audited(
    some_app: Flask, order: Order, now: datetime, parts: dict[str, str], code: str
) -> None:
    pay(order, now)
    with pytest.raises((DomainError, AdapterError)) as refusal:
        notify(some_app, order, now, **parts)
    assert refusal.value.code == code  # type: ignore[attr-defined]
    assert fresh(order).state is OrderState.OPEN
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "payment.refuse")).one()
    assert (entry.params or {})["code"] == code


def test_notification_for_another_installation_is_refused(order: Order, now: datetime) -> None:
    pay(order, now)
    form = gate.notification("elsewhere:80", f"{order.number}-1", "469.00")
    with pytest.raises(AdapterError, match="payment_not_genuine"):
        crediting.take_notification("sandbox", form, None, now)


def test_trade_replayed_to_another_order_is_refused(
    some_app: Flask, order: Order, factory: Factory, cast: Cast, actor: Actor, now: datetime
) -> None:
    pay(order, now)
    notify(some_app, order, now)
    other = factory.certificate(cast.organisation, pki.make_certificate(["b.example.com"], now=now))
    second = buying.place_order([other.id], 46_900, actor, now)
    pay(second, now)
    with pytest.raises(DomainError, match="payment_replayed"):
        notify(some_app, second, now)
    assert fresh(second).state is OrderState.OPEN


def test_payment_after_the_order_lapsed_is_disputed_and_audited(
    some_app: Flask, order: Order, now: datetime
) -> None:
    pay(order, now)
    later = now + OPEN_FOR
    drive(KIND, order.id, lambda: later)
    assert fresh(order).state is OrderState.EXPIRED
    assert db.session.scalars(select(Payment)).one().state is PaymentState.CLOSED
    assert notify(some_app, order, later) == "success"
    assert fresh(order).state is OrderState.DISPUTED
    assert db.session.scalars(select(Payment)).one().state is PaymentState.PAID
    assert "payment.late" in set(db.session.scalars(select(AuditEntry.action)))
    assert count(Hosting) == 0


def test_customer_who_refuses_may_try_again(some_app: Flask, order: Order, now: datetime) -> None:
    first = pay(order, now)
    notify(some_app, order, now, status=CLOSED)
    assert pay(fresh(order), now) != first
    assert sorted(payment.state.value for payment in fresh(order).payments) == ["refused", "started"]


def test_second_payment_of_one_order_is_kept_for_an_operator(
    some_app: Flask, order: Order, now: datetime
) -> None:
    pay(order, now)
    notify(some_app, order, now, status=CLOSED)
    pay(fresh(order), now)
    for tried in (1, 2):
        number = f"{order.number}-{tried}"
        notify(some_app, order, now, merchant_number=number, trade_number=f"SBX{tried}")
    assert fresh(order).state is OrderState.PAID
    assert "payment.double" in set(db.session.scalars(select(AuditEntry.action)))

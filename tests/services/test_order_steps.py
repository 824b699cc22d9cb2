"""Orders as operations: asking after payments (fault 27), lapsing, turning hosting on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.domain.hosting import HostingState
from portal.domain.order import OPEN_FOR, OrderState
from portal.domain.renewal import RenewalState
from portal.domain.spec import Grade
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.models.order import Order
from portal.sandbox.payment import SandboxPayment
from portal.services import paying
from portal.services.driving import drive
from portal.services.order_steps import KIND
from tests import gateway as gate
from tests.factories import Factory
from tests.services.orders import count, fresh, notify, pay


@pytest.fixture
def overrides(sandbox: SandboxPayment) -> dict[str, Any]:
    return {"payment_sandbox_url": sandbox.url}


def test_notification_pays_and_the_worker_turns_hosting_on(
    some_app: Flask, order: Order, certificate: Certificate, now: datetime
) -> None:
    pay(order, now)
    assert notify(some_app, order, now) == "success"
    assert fresh(order).state is OrderState.PAID
    drive(KIND, order.id, lambda: now)
    assert fresh(order).state is OrderState.FULFILLED
    hosting = db.session.scalars(select(Hosting)).one()
    assert hosting.state is HostingState.HOSTED
    assert hosting.coverage_ends_at == certificate.not_after + timedelta(days=365)
    renewal = db.session.scalars(select(Renewal)).one()
    assert (renewal.state, renewal.predecessor_id) == (RenewalState.WAITING, certificate.id)
    assert {line.open_certificate_id for line in fresh(order).lines} == {None}
    kinds = sorted(notice.kind.value for notice in db.session.scalars(select(Notice)))
    assert kinds == ["hosting_turned_on", "order_paid"]
    history = db.session.scalars(select(HistoryEntry).where(HistoryEntry.subject_id == order.id)).all()
    assert sorted(entry.event for entry in history) == ["fulfil", "pay"]


def test_driving_a_fulfilled_order_again_changes_nothing(
    some_app: Flask, order: Order, now: datetime
) -> None:
    pay(order, now)
    notify(some_app, order, now)
    for _ in range(3):
        drive(KIND, order.id, lambda: now)
    assert (count(Hosting), count(Renewal)) == (1, 1)


def test_payment_that_was_never_notified_is_asked_after(order: Order, now: datetime) -> None:
    url = pay(order, now)
    gate.visit(url)
    gate.decide(url)
    drive(KIND, order.id, lambda: now + paying.ASK_AFTER)
    assert fresh(order).state is OrderState.FULFILLED
    assert (count(Hosting), count(Renewal)) == (1, 1)


def test_order_is_not_lapsed_before_the_gateway_has_been_asked(order: Order, now: datetime) -> None:
    url = pay(order, now)
    gate.visit(url)
    gate.decide(url)
    drive(KIND, order.id, lambda: now + OPEN_FOR + timedelta(hours=1))
    assert fresh(order).state is OrderState.FULFILLED


def test_gateway_out_of_reach_keeps_the_order_open(
    order: Order, sandbox: SandboxPayment, now: datetime
) -> None:
    pay(order, now)
    sandbox.stop()
    drive(KIND, order.id, lambda: now + OPEN_FOR)
    kept = fresh(order)
    assert (kept.state, kept.error_code) == (OrderState.OPEN, "payment_unavailable")
    assert kept.next_attempt_at is not None


def test_order_whose_certificate_got_hosted_meanwhile_stops_for_an_operator(
    some_app: Flask, order: Order, certificate: Certificate, factory: Factory, now: datetime
) -> None:
    pay(order, now)
    notify(some_app, order, now)
    factory.hosting(certificate)
    drive(KIND, order.id, lambda: now)
    stopped = fresh(order)
    assert (stopped.state, stopped.error_code) == (OrderState.PAID, "already_hosted")
    assert stopped.stopped_at == now
    assert count(Renewal) == 0


def test_specification_that_changed_meanwhile_ends_in_failed_hosting(
    some_app: Flask, order: Order, session: scoped_session[Session], now: datetime
) -> None:
    pay(order, now)
    notify(some_app, order, now)
    fresh(order).lines[0].product.grade = Grade.ADVANCED
    session.commit()
    drive(KIND, order.id, lambda: now)
    hosting = db.session.scalars(select(Hosting)).one()
    assert hosting.state is HostingState.FAILED
    entry = db.session.scalars(select(HistoryEntry).where(HistoryEntry.subject_id == hosting.id)).one()
    assert (entry.reason, (entry.params or {})["parts"]) == ("spec_mismatch", "grade")
    assert count(Renewal) == 0

"""Placing orders: the price frozen, one order per certificate, however often 「支付」 is clicked (fault 28)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from portal.domain.errors import DomainError
from portal.domain.order import OPEN_FOR, OrderState
from portal.models.certificate import Certificate
from portal.models.order import Order, OrderLine, Payment
from portal.sandbox.payment import SandboxPayment
from portal.services import buying
from portal.services.acting import Actor
from portal.services.driving import drive
from portal.services.order_steps import KIND
from tests import pki
from tests.factories import Cast, Factory
from tests.services.orders import count, fresh, in_threads, pay


@pytest.fixture
def overrides(sandbox: SandboxPayment) -> dict[str, Any]:
    return {"payment_sandbox_url": sandbox.url}


def test_order_freezes_certificate_and_hosting_fee(
    order: Order, certificate: Certificate, now: datetime
) -> None:
    lines = [(line.item.value, line.unit_fen, line.quantity) for line in order.lines]
    assert lines == [("certificate", 19_900, 1), ("hosting", 27_000, 1)]
    assert (order.total_fen, order.price_book_edition, order.state) == (46_900, 1, OrderState.OPEN)
    assert (order.expires_at, order.next_attempt_at) == (now + OPEN_FOR, now + OPEN_FOR)
    assert [line.open_certificate_id for line in order.lines] == [certificate.id] * 2


def test_another_price_than_was_shown_is_refused(
    certificate: Certificate, actor: Actor, now: datetime
) -> None:
    with pytest.raises(DomainError, match="price_changed"):
        buying.place_order([certificate.id], 46_800, actor, now)
    assert count(Order) == 0


def test_asking_again_gives_the_same_order(
    order: Order, certificate: Certificate, actor: Actor, now: datetime
) -> None:
    assert buying.place_order([certificate.id], 46_900, actor, now).id == order.id
    assert count(Order) == 1


def test_open_order_for_one_blocks_an_order_for_more(
    order: Order, certificate: Certificate, factory: Factory, cast: Cast, actor: Actor, now: datetime
) -> None:
    other = factory.certificate(cast.organisation, pki.make_certificate(["b.example.com"], now=now))
    with pytest.raises(DomainError) as refusal:
        buying.place_order([certificate.id, other.id], 93_800, actor, now)
    assert (refusal.value.code, refusal.value.params["number"]) == ("order_already_open", order.number)


def test_several_certificates_are_hosted_in_one_order(
    certificate: Certificate, factory: Factory, cast: Cast, actor: Actor, now: datetime
) -> None:
    other = factory.certificate(cast.organisation, pki.make_certificate(["b.example.com"], now=now))
    order = buying.place_order([certificate.id, other.id], 93_800, actor, now)
    assert (order.total_fen, len(order.lines)) == (93_800, 4)


def test_foreign_certificate_is_not_found(certificate: Certificate, cast: Cast, now: datetime) -> None:
    stranger = Actor(cast.charlie.id, cast.other_organisation.id)
    with pytest.raises(DomainError, match="certificate_not_found"):
        buying.place_order([certificate.id], 46_900, stranger, now)


def test_window_not_open_names_the_day(factory: Factory, cast: Cast, actor: Actor, now: datetime) -> None:
    factory.price_book()
    factory.product()
    far = factory.certificate(cast.organisation, pki.make_certificate(now=now, expires_in=timedelta(days=40)))
    with pytest.raises(DomainError) as refusal:
        buying.place_order([far.id], 46_900, actor, now)
    opens_on = (far.not_after - timedelta(days=15)).date().isoformat()
    assert (refusal.value.code, refusal.value.params["opens_on"]) == ("window_not_open", opens_on)


def test_pay_clicked_many_times_at_once_makes_one_order_and_one_payment(
    some_app: Flask, certificate: Certificate, actor: Actor, now: datetime
) -> None:
    def click() -> str:
        order = buying.place_order([certificate.id], 46_900, actor, now)
        pay(order, now)
        return order.id

    results = in_threads(some_app, click, 8)
    assert len({str(result) for result in results}) == 1, results
    assert (count(Order), count(Payment), count(OrderLine)) == (1, 1, 2)


def test_unpaid_order_waits_and_then_lapses(
    order: Order, certificate: Certificate, actor: Actor, now: datetime
) -> None:
    drive(KIND, order.id, lambda: now)
    assert fresh(order).state is OrderState.OPEN
    later = now + OPEN_FOR
    second = buying.place_order([certificate.id], 46_900, actor, later)
    assert second.id != order.id
    assert fresh(order).state is OrderState.EXPIRED


def test_cancelled_order_frees_its_certificate(
    order: Order, certificate: Certificate, actor: Actor, now: datetime
) -> None:
    buying.cancel(order, actor, now)
    assert fresh(order).state is OrderState.CANCELLED
    assert buying.place_order([certificate.id], 46_900, actor, now).id != order.id


def test_order_under_payment_cannot_be_cancelled(order: Order, actor: Actor, now: datetime) -> None:
    pay(order, now)
    with pytest.raises(DomainError, match="payment_under_way"):
        buying.cancel(fresh(order), actor, now)

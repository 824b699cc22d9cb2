"""Orders from the click on 「支付」 to hosting turned on: prices, payments, faults 25 to 28."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.errors import AdapterError
from portal.adapters.payment.sandbox import CLOSED, app_id_of
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.order import OPEN_FOR, OrderState, PaymentState
from portal.domain.renewal import RenewalState
from portal.domain.spec import Grade
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.history import AuditEntry, HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.models.order import Order, OrderLine, Payment
from portal.sandbox.payment import SandboxPayment
from portal.services import buying, crediting, paying
from portal.services.acting import Actor
from portal.services.operations import drive
from portal.services.order_steps import KIND
from portal.services.paying import Addresses
from tests import gateway as gate
from tests import pki
from tests.factories import Cast, Factory

ADDRESSES = Addresses("http://127.0.0.1/return", "http://127.0.0.1/notify")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxPayment]:
    with gate.sandbox_gateway(tmp_path / "trades") as running:
        yield running


@pytest.fixture
def overrides(sandbox: SandboxPayment) -> dict[str, Any]:
    return {"payment_sandbox_url": sandbox.url}


@pytest.fixture
def actor(cast: Cast) -> Actor:
    return Actor(cast.alice.id, cast.organisation.id, "127.0.0.1")


@pytest.fixture
def certificate(factory: Factory, cast: Cast, now: datetime) -> Certificate:
    """One that expires in 10 days, of a specification that is sold."""
    factory.price_book()
    factory.product(price_fen=19_900)
    return factory.certificate(cast.organisation)


@pytest.fixture
def order(certificate: Certificate, actor: Actor, now: datetime) -> Order:
    return buying.place_order([certificate.id], 46_900, actor, now)


def pay(order: Order, now: datetime) -> str:
    return paying.start(order, ADDRESSES, "hosting", "en", now)


def fresh(order: Order) -> Order:
    db.session.expire_all()
    return db.session.get_one(Order, order.id)


def notify(app: Flask, order: Order, now: datetime, amount: str = "469.00", **parts: str) -> str:
    payment = db.session.scalars(select(Payment).where(Payment.order_id == order.id)).first()
    number = parts.pop("merchant_number", payment.merchant_number if payment else "")
    form = gate.notification(app_id_of(app.extensions["settings"]), number, amount, **parts)
    return crediting.take_notification("sandbox", form, "127.0.0.1", now)


def count(model: type[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


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


def in_threads(app: Flask, work: Callable[[], Any], times: int) -> list[Any]:
    """Run `work` at once in several threads, each in its own app context; results or exceptions."""
    results: list[Any] = []
    gun = threading.Barrier(times)

    def run() -> None:
        with app.app_context():
            gun.wait(timeout=10)
            try:
                results.append(work())
            except Exception as error:
                results.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


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


def test_unpaid_order_waits_and_then_lapses(
    order: Order, certificate: Certificate, actor: Actor, now: datetime
) -> None:
    drive(KIND, order.id, lambda: now)
    assert fresh(order).state is OrderState.OPEN
    later = now + OPEN_FOR
    second = buying.place_order([certificate.id], 46_900, actor, later)
    assert second.id != order.id
    assert fresh(order).state is OrderState.EXPIRED


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

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from portal.domain.order import OrderState, PaymentState
from portal.models.order import Payment


@pytest.fixture
def product(factory):
    return factory.product(ca_account=factory.ca_account(secrets={}))


def test_an_order_adds_up(factory, cast, product):
    certificates = [factory.certificate(cast.organisation, names=[f"{n}.example.com"]) for n in "ab"]
    order = factory.order(cast.organisation, cast.alice, certificates, product)
    assert [line.position for line in order.lines] == [0, 1, 2, 3]
    assert order.total.fen == sum(line.total_fen for line in order.lines) == 2 * (19_900 + 27_000)


@pytest.mark.parametrize("state", OrderState)
def test_an_open_order_blocks_a_second_for_its_certificate(session, factory, cast, product, state):
    certificate = factory.certificate(cast.organisation)
    factory.order(cast.organisation, cast.alice, [certificate], product, state)
    if state is not OrderState.OPEN:
        factory.order(cast.organisation, cast.alice, [certificate], product, OrderState.OPEN)
        return
    with pytest.raises(IntegrityError):
        factory.order(cast.organisation, cast.alice, [certificate], product, OrderState.OPEN)
    session.rollback()


def test_a_trade_number_counts_once(session, factory, cast, product, now):
    order = factory.order(cast.organisation, cast.alice, [factory.certificate(cast.organisation)], product)

    def pay(merchant_number: str) -> None:
        factory.add(
            Payment(
                order_id=order.id,
                gateway="sandbox",
                merchant_number=merchant_number,
                trade_number="T1",
                state=PaymentState.PAID,
                amount_fen=order.total_fen,
                currency="CNY",
                created_at=now,
            )
        )

    pay("M1")
    with pytest.raises(IntegrityError):
        pay("M2")
    session.rollback()

"""Orders as pages, and paying them: who may, and what each button leads to."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from portal.domain.order import OrderState
from portal.models.order import Order, Payment
from tests import pki

pytestmark = pytest.mark.databases("sqlite")


def fresh(session, order):
    session.expire_all()
    return session.get_one(Order, order.id)


@pytest.fixture
def reading(order):
    return ["/orders", f"/orders/{order.number}"]


@pytest.fixture
def changing(order, certificate):
    return [
        ("/orders", {"certificate": certificate.id, "total": "46900"}),
        (f"/orders/{order.number}/pay", {}),
        (f"/orders/{order.number}/cancel", {}),
    ]


def test_a_viewer_reads_and_pays_nothing(client, cast, reading, changing):
    client.log_in(cast.bob)
    assert {client.get(path).status_code for path in reading} == {200}
    assert {client.post(path, data=form).status_code for path, form in changing} == {403}


def test_a_stranger_finds_nothing(client, cast, order, reading, changing):
    client.log_in(cast.charlie)
    assert order.number not in client.get("/orders").text
    assert client.get(reading[1]).status_code == 404
    assert client.get(f"/orders/{order.number}/return").status_code == 404
    codes = [client.post(path, data=form).status_code for path, form in changing]
    assert codes == [404, 404, 404]


def test_an_operator_and_nobody_have_no_orders(client, cast, reading, changing):
    answers = [client.get(path) for path in reading] + [
        client.post(path, data=form) for path, form in changing
    ]
    assert {one.location.partition("?")[0] for one in answers} == {"/login"}
    client.log_in(cast.olga)
    assert {client.get(path).status_code for path in reading} == {404}
    assert {client.post(path, data=form).status_code for path, form in changing} == {404}


def test_pay_leads_to_the_gateway_and_twice_to_the_same_payment(client, cast, certificate, sandbox, session):
    client.log_in(cast.alice)
    form = {"certificate": certificate.id, "total": "46900"}
    answers = [client.post("/orders", data=form) for _ in range(2)]
    assert {one.status_code for one in answers} == {303}
    assert all(one.location.startswith(f"{sandbox.url}/pay?") for one in answers)
    counts = [session.scalar(select(func.count()).select_from(model)) for model in (Order, Payment)]
    assert counts == [1, 1]


def test_the_form_may_lead_to_the_gateway_and_nowhere_else(client, cast, certificate, sandbox):
    client.log_in(cast.alice)
    policy = client.get(f"/hosting/confirm?certificate={certificate.id}").headers["Content-Security-Policy"]
    assert policy.endswith(f"form-action 'self' {sandbox.url}")


@pytest.mark.parametrize("total", ["1", "", "-46900", "rubbish", "9" * 40])
def test_a_price_that_was_not_shown_comes_back_with_the_right_one(client, cast, certificate, session, total):
    client.log_in(cast.alice)
    answer = client.post("/orders", data={"certificate": certificate.id, "total": total})
    assert answer.status_code == 422
    assert "469.00" in answer.text
    assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_open_order_for_a_part_is_409_with_a_link(client, cast, order, certificate, factory, now):

    other = factory.certificate(cast.organisation, pki.make_certificate(["b.example.com"], now=now))
    client.log_in(cast.alice)
    answer = client.post("/orders", data={"certificate": [certificate.id, other.id], "total": "93800"})
    assert answer.status_code == 409
    assert f"/orders/{order.number}" in answer.text


def test_an_open_order_is_watched_and_a_closed_one_is_not(client, cast, order, session):
    client.log_in(cast.alice)
    path = f"/orders/{order.number}"
    part = client.get(path, htmx=True).text
    assert 'hx-trigger="every 2s"' in part
    assert "<html" not in part
    assert client.post(f"{path}/cancel").status_code == 303
    assert fresh(session, order).state is OrderState.CANCELLED
    assert "hx-trigger" not in client.get(path, htmx=True).text


def test_coming_back_believes_nothing_and_asks_the_gateway_soon(client, cast, order, session):
    client.log_in(cast.alice)
    client.post(f"/orders/{order.number}/pay")
    before = fresh(session, order).next_attempt_at
    answer = client.get(f"/orders/{order.number}/return?trade_status=TRADE_SUCCESS")
    assert answer.location == f"/orders/{order.number}"
    after = fresh(session, order)
    assert after.state is OrderState.OPEN
    assert after.next_attempt_at < before

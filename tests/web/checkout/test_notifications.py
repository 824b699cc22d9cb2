"""What the gateway posts to us: no log-in, no token, only its signature."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.adapters.payment.sandbox import app_id_of
from portal.domain.order import OrderState
from portal.models.history import AuditEntry
from portal.models.order import Order
from tests import gateway as gate


@pytest.fixture
def paid(client, cast, order, settings):
    """A function that posts a notification for the order."""
    client.log_in(cast.alice)
    client.post(f"/orders/{order.number}/pay")
    client.get("/logout")
    visitor = client.application.test_client()

    def post(amount="469.00", path="/payments/sandbox/notify", **parts):
        form = gate.notification(app_id_of(settings), f"{order.number}-1", amount, **parts)
        return visitor.post(path, data=form, csrf=False)

    return post


def test_a_genuine_notification_pays_the_order(paid, order, session):
    answers = [paid() for _ in range(2)]
    assert [(one.status_code, one.text) for one in answers] == [(200, "success")] * 2
    session.expire_all()
    assert session.get_one(Order, order.id).state is OrderState.PAID


@pytest.mark.parametrize("parts", [{"secret": "guessed"}, {"amount": "0.01"}, {"currency": "USD"}])
def test_any_other_is_refused_without_details_and_audited(paid, order, session, parts):
    answer = paid(**parts)
    assert (answer.status_code, answer.text) == (400, "refused\n")
    session.expire_all()
    assert session.get_one(Order, order.id).state is OrderState.OPEN
    assert "payment.refuse" in set(session.scalars(select(AuditEntry.action)))


def test_unknown_gateway_is_not_found(paid):
    assert paid(path="/payments/elsewhere/notify").status_code == 404


def test_rubbish_is_refused(client):
    assert client.post("/payments/sandbox/notify", data=b"\xff\xfe", csrf=False).status_code == 400

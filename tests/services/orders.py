"""What tests of orders share: paying, being notified, clicking at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from portal.adapters.payment.sandbox import app_id_of
from portal.extensions import db
from portal.models.order import Order, Payment
from portal.services import crediting, paying
from portal.services.paying import Addresses
from tests import gateway as gate

ADDRESSES = Addresses("http://127.0.0.1/return", "http://127.0.0.1/notify")


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

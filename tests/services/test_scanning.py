"""The expiry scan: what is due is found, rung for and done."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from portal.domain.renewal import RenewalState
from portal.doorbell import queue
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.queue import QueueName
from portal.services import heartbeats, scanning
from tests.factories import Cast, Factory


@pytest.fixture
def renewal(factory: Factory, cast: Cast, now: datetime) -> Renewal:
    return factory.renewal(factory.hosting(factory.certificate(cast.organisation)), due=now)


def test_a_waiting_renewal_falls_due_on_its_day_and_not_before(renewal: Renewal, now: datetime) -> None:
    assert scanning.list_due(now - timedelta(seconds=1)) == []
    (due,) = scanning.list_due(now)
    assert (due.renewal_id, due.name, due.state) == (renewal.id, "shop.example.com", RenewalState.WAITING)


def test_a_scan_rings_and_leaves_a_sign_of_life(renewal: Renewal, now: datetime) -> None:
    rung = scanning.scan(now)
    assert rung == {"renewal": 1}
    assert queue(QueueName.RENEWAL).count == 1
    assert heartbeats.last_beat(scanning.SCAN) == now


def test_a_sweep_rings_for_everything_however_much(
    factory: Factory, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosting = factory.hosting(factory.certificate(cast.organisation))
    for number in range(1, 6):
        factory.renewal(hosting, due=now, sequence=number)
    monkeypatch.setattr(scanning, "SWEEP_LIMIT", 2)
    assert scanning.sweep(now) == 5
    assert scanning.sweep(now) == 0


def test_working_until_idle_needs_neither_redis_nor_workers(renewal: Renewal, now: datetime) -> None:
    driven = scanning.work_until_idle(lambda: now, patience=timedelta(0))
    db.session.expire_all()
    done = db.session.get_one(Renewal, renewal.id)
    assert done.state is RenewalState.DONE
    assert driven >= 1
    assert queue(QueueName.RENEWAL).count == 0

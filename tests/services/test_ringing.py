"""What is due, and ringing for it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from portal.doorbell import queue
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.queue import QueueName
from portal.services import ringing
from tests.factories import Cast, Factory
from tests.services.scripts import Script, settle


@pytest.fixture
def renewal(factory: Factory, cast: Cast, now: datetime) -> Renewal:
    certificate = factory.certificate(cast.organisation)
    return factory.renewal(factory.hosting(certificate), due=now)


def test_due_work_is_rung_for_once_until_the_ring_is_stale(renewal: Renewal, now: datetime) -> None:
    kind = Script(settle).kind()
    assert ringing.ring_due(kind, now) == 1
    assert ringing.ring_due(kind, now) == 0
    assert ringing.ring_due(kind, now + timedelta(seconds=31)) == 1
    assert queue(QueueName.RENEWAL).count == 2


def test_a_silent_doorbell_loses_nothing(renewal: Renewal, now: datetime) -> None:
    from flask import current_app
    from redis import Redis

    real = current_app.extensions["redis"]
    current_app.extensions["redis"] = Redis(unix_socket_path="/nonexistent/redis.sock")
    try:
        assert ringing.ring_due(Script(settle).kind(), now) == 1
    finally:
        current_app.extensions["redis"] = real
    assert ringing.ring_due(Script(settle).kind(), now + timedelta(seconds=31)) == 1


def test_due_work_is_found_through_the_index(renewal: Renewal, now: datetime) -> None:
    query = (
        "SELECT id FROM renewals WHERE next_attempt_at <= '2026-01-01' ORDER BY next_attempt_at, id LIMIT 9"
    )
    if db.engine.dialect.name == "sqlite":
        plan = str(db.session.execute(text("EXPLAIN QUERY PLAN " + query)).all())
    else:
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = str(db.session.execute(text("EXPLAIN " + query)).all())
    assert "ix_renewals_due" in plan

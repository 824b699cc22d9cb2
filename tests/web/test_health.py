"""`/healthz`, `/readyz` and `/healthz/jobs`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from portal.services import heartbeats


def test_a_process_that_answers_is_healthy(client):
    assert client.get("/healthz").json == {"status": "ok"}


def test_ready_means_database_at_the_newest_migration_and_redis(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json == {"status": "ok", "database": "ok", "redis": "ok"}


def test_a_database_behind_its_migrations_is_not_ready(client, session):
    present = session.scalar(text("SELECT version_num FROM alembic_version"))
    try:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        session.commit()
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json["database"] == "behind"
    finally:
        session.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": present})
        session.commit()


class TestWithoutRedis:
    """Pages read on; the limits of tries are kept in memory."""

    @pytest.fixture
    def overrides(self):
        return {"redis_url": "unix:///nowhere/redis.sock"}

    def test_it_is_degraded_and_not_down(self, client):
        response = client.get("/readyz")
        assert response.status_code == 200
        assert response.json == {"status": "degraded", "database": "ok", "redis": "away"}

    def test_people_log_in_and_tries_are_still_limited(self, client, cast):
        assert client.log_in(cast.alice).status_code == 303
        client.post("/logout")
        statuses = {client.log_in(cast.bob, "wrong").status_code for _ in range(16)}
        assert statuses == {422, 429}


class TestJobs:
    """Whether the work in the background goes on, by the rules of the watchdog."""

    def test_without_a_sign_of_life_it_does_not(self, client):
        answer = client.get("/healthz/jobs")
        assert answer.status_code == 503
        assert answer.json == {
            "status": "failing",
            "failing": ["scan_silent", "scheduler_silent", "workers_silent"],
        }

    @pytest.fixture
    def alive(self, client):
        moment = datetime.now(UTC)
        for name in (heartbeats.SCAN, heartbeats.SCHEDULER, heartbeats.REDIS, "worker:here:1"):
            heartbeats.beat(name, moment)
        return moment

    def test_while_everybody_lives_it_does(self, client, alive):
        answer = client.get("/healthz/jobs")
        assert (answer.status_code, answer.json) == (200, {"status": "ok", "failing": []})

    def test_overdue_work_fails(self, client, alive, factory, cast):
        hosting = factory.hosting(factory.certificate(cast.organisation))
        factory.renewal(hosting, due=alive - timedelta(minutes=6))
        assert client.get("/healthz/jobs").json["failing"] == ["work_overdue"]

"""Fault 36: a rolling deployment. Rows, jobs and workers of the version before meet the new schema, and the other way
round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask_migrate import downgrade, upgrade
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.worker import StepWorker
from portal.app import create_core
from portal.domain.alarms import AlarmKind
from portal.domain.notices import NoticeKind
from portal.domain.order import OrderState
from portal.domain.renewal import RenewalState
from portal.doorbell import AllowedJob, own_connection
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.models.order import Order
from portal.services import alarms
from portal.settings import Settings
from tests.databases import Database, open_app
from tests.faults.world import World, done
from tests.servers import PostgresCluster

OLD, NEW = "0001", "0002"

#: The states that a renewal could be in before, and what they are called in its rows.
OLD_STATES = frozenset(
    {
        *("waiting", "started", "keyed", "ordered", "validating", "validated", "finalizing"),
        *("issued", "deploying", "done", "cancelled"),
    }
)
#: The kinds of notices that there were before.
OLD_NOTICES = frozenset(
    {
        *("confirm_email", "reset_password", "invitation", "order_paid", "hosting_turned_on", "renewed"),
        *("please_install", "not_live", "action_required", "hosting_failed", "term_ending"),
    }
)

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def own_database(world: World, database: Database, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings for a database that no other test uses: its schema goes back and forth."""
    if database.kind == "sqlite":
        yield replace(world.settings, database_url=f"sqlite:///{world.folder / 'rolling.db'}")
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    cluster.create("rolling")
    try:
        yield replace(world.settings, database_url=cluster.url("rolling"))
    finally:
        with cluster.connect() as connection:
            connection.execute("DROP DATABASE rolling WITH (FORCE)")


@contextmanager
def installed(world: World, settings: Settings) -> Iterator[World]:
    """A world in that database, at the newest schema."""
    with open_app(create_core(settings)) as app:
        upgrade()
        yield world.elsewhere(app, settings)


def everything(columns_of: Mapping[str, frozenset[str]] | None = None) -> Rows:
    """Every row of every table, in those columns alone where they are named."""
    db.session.rollback()
    metadata = sa.MetaData()
    metadata.reflect(db.engine)
    found: Rows = {}
    with db.engine.connect() as connection:
        for table in metadata.sorted_tables:
            if table.name == "alembic_version" or (columns_of is not None and table.name not in columns_of):
                continue
            wanted = [one for one in table.columns if not columns_of or one.name in columns_of[table.name]]
            rows = connection.execute(sa.select(*wanted).order_by(*table.primary_key.columns)).mappings()
            found[table.name] = [dict(row) for row in rows]
    return found


def columns() -> dict[str, frozenset[str]]:
    """The names of all columns, by table."""
    found = sa.inspect(db.engine)
    return {
        table: frozenset(one["name"] for one in found.get_columns(table))
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def fill(world: World) -> None:
    """Rows of every kind, and a renewal in each state that there is."""
    world.pay_for("done.example.com")
    world.settle()
    order = world.pay_for("in-flight.example.com")
    world.drive_due_orders()
    hosting = (
        db.session.scalars(sa.select(Renewal).where(Renewal.state == RenewalState.WAITING)).all()[-1].hosting
    )
    for sequence, state in enumerate(RenewalState, start=10):
        world.factory.renewal(hosting, state=state, sequence=sequence, alarm_at=world.clock.now)
    world.bulk_notices(3)
    alarms.raise_alarm(AlarmKind.REDIS_AWAY, world.clock.now)
    db.session.commit()
    assert db.session.get_one(Order, order.id).state is OrderState.FULFILLED


def test_fault_36_going_back_and_forth_keeps_every_row(world: World, own_database: Settings) -> None:
    with installed(world, own_database) as here:
        fill(here)
        downgrade(revision=OLD)
        old_columns = columns()
        before = everything()
        assert {row["state"] for row in before["renewals"]} == OLD_STATES
        assert {row["kind"] for row in before["notices"]} <= OLD_NOTICES
        upgrade()
        assert everything(old_columns) == before
        unfinished = [row for row in everything()["renewals"] if row["finished_at"] is None]
        assert {row["alarm_at"] is None for row in unfinished if row["next_attempt_at"]} == {False}
        downgrade(revision=OLD)
        assert everything() == before


def test_fault_36_workers_of_the_version_before_can_write_to_the_new_schema(
    world: World, own_database: Settings
) -> None:
    """They know nothing of the new columns: each is NULL or has a value of its own where they add a row."""
    with installed(world, own_database) as here:
        fill(here)
        downgrade(revision=OLD)
        old_columns = columns()
        upgrade()
        found = sa.inspect(db.engine)
        wanting = [
            (table, one["name"])
            for table, known in old_columns.items()
            for one in found.get_columns(table)
            if one["name"] not in known and not one["nullable"] and one["default"] is None
        ]
        assert wanting == []
        row = everything(old_columns)["renewals"][0]
        names = ", ".join(row)
        copied = {"id": "'copy'", "sequence": "99", "successor_id": "NULL"}
        values = ", ".join(copied.get(name, name) for name in row)
        insert = f"INSERT INTO renewals ({names}) SELECT {values} FROM renewals WHERE id = :id"
        with db.engine.begin() as connection:
            assert connection.execute(sa.text(insert), {"id": row["id"]}).rowcount == 1


@pytest.mark.databases("sqlite")
def test_fault_36_jobs_that_the_version_before_queued_still_run(world: World, own_database: Settings) -> None:
    """The names and arguments are written out: what stands in Redis does not change with the code."""
    with installed(world, own_database) as here, own_connection(own_database) as redis:
        here.pay_for("a.example.com")
        downgrade(revision=OLD)
        queue_as_before(redis, "renewal", "jobs.orders.advance", here.order_ids())
        queue_as_before(redis, "clock", "jobs.expiry_scan.tick", [])
        queue_as_before(redis, "clock", "jobs.expiry_scan.sweep", [])
        queue_as_before(redis, "clock", "jobs.housekeeping.clean", [])
        upgrade()
        work_off(here, redis)
        here.clock.now += timedelta(minutes=5)
        queue_as_before(redis, "renewal", "jobs.renewal.advance", [here.renewal().id, "0" * 32])
        queue_as_before(redis, "deployment", "jobs.deployment.advance", ["0" * 32])
        queue_as_before(redis, "notice", "jobs.notices.send", ["0" * 32])
        work_off(here, redis)
        done(here)
        assert redis.zcard("rq:failed:renewal") == redis.zcard("rq:failed:clock") == 0
        here.check()


def queue_as_before(redis: Redis, queue: str, function: str, ids: list[str]) -> None:
    job = Job.create(function, args=ids, connection=redis, origin=queue, serializer=JSONSerializer)
    job.save()
    redis.rpush(f"rq:queue:{queue}", job.id)


def work_off(world: World, redis: Redis) -> None:
    worker = StepWorker(world.app, redis)
    assert worker.job_class is AllowedJob
    worker._install_signal_handlers = lambda: None  # type: ignore[method-assign]
    worker.work(burst=True, logging_level="WARNING")
    db.session.rollback()


def test_fault_36_states_and_kinds_of_before_are_all_known_still() -> None:
    assert {one.value for one in RenewalState} > OLD_STATES
    assert {one.value for one in NoticeKind} > OLD_NOTICES

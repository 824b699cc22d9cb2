from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from portal.database import database_now
from portal.extensions import Base, db
from portal.models.account import Organisation, User
from portal.models.history import Heartbeat
from portal.models.hosting import Renewal
from portal.models.types import new_id


def test_the_databases_clock_is_aware_and_right(session):
    read = session.scalar(select(database_now()))
    assert read.tzinfo is UTC
    assert abs(read - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize("seconds", [-90.5, 0.25, 3600])
def test_a_lease_ends_when_it_should(session, seconds):
    read, end = session.execute(select(database_now(), database_now(seconds))).one()
    assert abs((end - read).total_seconds() - seconds) < 1


@pytest.mark.parametrize(("ahead", "is_over"), [(-1.0, True), (1.0, False), (-0.01, True)])
def test_a_stored_moment_compares_with_the_databases_clock(session, ahead, is_over):
    session.add(Heartbeat(name="one", at=datetime.now(UTC)))
    session.commit()
    session.execute(update(Heartbeat).values(at=database_now(ahead)))
    found = session.scalar(select(func.count()).select_from(Heartbeat).where(Heartbeat.at < database_now()))
    assert bool(found) is is_over


def test_a_moment_of_pythons_clock_compares_with_the_databases_too(session):
    session.add(Heartbeat(name="past", at=datetime.now(UTC) - timedelta(seconds=2)))
    session.add(Heartbeat(name="future", at=datetime.now(UTC) + timedelta(seconds=2)))
    session.commit()
    assert session.scalars(select(Heartbeat.name).where(Heartbeat.at < database_now())).all() == ["past"]


def test_times_come_back_aware_in_utc(session, now):
    china = now.astimezone().replace(microsecond=123456)
    session.add(Heartbeat(name="one", at=china))
    session.commit()
    read = session.scalar(select(Heartbeat.at))
    assert read == china
    assert read.utcoffset() == timedelta(0)


def test_a_naive_time_is_refused(session):
    session.add(Heartbeat(name="one", at=datetime(2026, 1, 1)))  # noqa: DTZ001
    with pytest.raises(StatementError, match="naive"):
        session.commit()
    session.rollback()


def test_foreign_keys_hold(session, factory, cast):
    row = factory.certificate(cast.organisation)
    row.organisation_id = new_id()
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()


def test_errors_do_not_tell_what_was_written(session, now):
    for _ in range(2):
        session.add(User(email="a@example.com", password_hash="a secret", created_at=now))
    with pytest.raises(IntegrityError) as caught:
        session.commit()
    assert "a secret" not in str(caught.value)


def test_the_migrations_make_what_the_models_say(session, database):
    tables = inspect(db.engine)
    assert set(tables.get_table_names()) - {"alembic_version"} == set(Base.metadata.tables)
    for name, table in Base.metadata.tables.items():
        assert {one["name"] for one in tables.get_columns(name)} == {one.name for one in table.columns}
        assert {one["name"] for one in tables.get_indexes(name)} >= {one.name for one in table.indexes}


@pytest.mark.parametrize("table", ["renewals", "deployments", "orders", "notices"])
def test_due_work_is_found_by_its_index(session, database, table):
    if database.kind == "postgresql":
        session.execute(text("SET LOCAL enable_seqscan = off"))
    explain = "EXPLAIN QUERY PLAN" if database.kind == "sqlite" else "EXPLAIN"
    query = f"{explain} SELECT id FROM {table} WHERE next_attempt_at <= :now ORDER BY next_attempt_at, id LIMIT 50"
    plan = " ".join(str(row) for row in session.execute(text(query), {"now": datetime.now(UTC)}))
    assert f"ix_{table}_due" in plan


def test_eight_writers_at_once_lose_nothing(core_app, database, session, factory, cast):
    renewal = factory.renewal(factory.hosting(factory.certificate(cast.organisation)))
    renewal_id, errors, won = renewal.id, [], []

    def write(number: int) -> None:
        try:
            with core_app.app_context():
                for _ in range(10):
                    db.session.execute(
                        update(Renewal).where(Renewal.id == renewal_id).values(polls=Renewal.polls + 1)
                    )
                    db.session.commit()
                claim = update(Renewal).where(Renewal.id == renewal_id, Renewal.lease_owner.is_(None))
                result = db.session.execute(claim.values(lease_owner=str(number)))
                db.session.commit()
                won.extend([number] * result.rowcount)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    session.expire_all()
    assert session.get(Renewal, renewal_id).polls == 80
    assert len(won) == 1


def test_sqlite_waits_for_other_writers_and_keeps_a_wal(session, database):
    if database.kind != "sqlite":
        assert session.scalar(text("SHOW transaction_isolation")) == "read committed"
        return
    assert session.scalar(text("PRAGMA journal_mode")) == "wal"
    assert session.scalar(text("PRAGMA foreign_keys")) == 1
    assert session.scalar(text("PRAGMA busy_timeout")) >= 10_000


def test_listing_organisations_is_one_query(session, factory):
    for _ in range(3):
        factory.organisation()
    seen = []
    event.listen(db.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    assert len(session.scalars(select(Organisation)).all()) == 3
    assert len(seen) == 1

"""Fault 34: a backup of two days ago is restored. What is reconciled, and what nobody can tell.

Told again from outside, without doubles:
 - an order that was paid since: the gateway is asked after payments that were started (one charge);
 - a certificate whose order URL was in the backup already: the CA still has it (the same certificate, once);
 - a deployment that was made since: the product is read back before anything is bound.
What cannot be told: an order placed at the CA after the backup. Its URL and its key are gone with the lost days, so its
certificate cannot be used by anybody; the renewal orders another. That is one certificate too many at the CA for each
renewal that began in those days, and no more: the CA's limits are still kept, and coverage never lapses.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from portal.domain.order import OrderState, PaymentState
from portal.extensions import db
from portal.models.certificate import Certificate, Source
from portal.models.order import Order, Payment
from portal.sandbox.payment import SandboxPayment
from portal.services import paying
from portal.services.driving import drive_all
from portal.services.kinds import KINDS
from portal.services.ringing import due_ids
from tests.acme_proxy import acme_proxy, problem
from tests.databases import EMPTY_ALL, Database
from tests.faults.world import World, done
from tests.gateway import decide, sandbox_gateway, visit
from tests.pebble import Pebble
from tests.servers import PostgresCluster
from tests.services.orders import ADDRESSES

LOST = timedelta(days=2)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[SandboxPayment]:
    with sandbox_gateway(tmp_path / "gateway") as one:
        yield one


@pytest.fixture
def overrides(overrides: dict[str, Any], gateway: SandboxPayment) -> dict[str, Any]:
    return {**overrides, "payment_sandbox_url": gateway.url}


@pytest.fixture
def backup(
    world: World, database: Database, request: pytest.FixtureRequest
) -> Callable[[], Callable[[], None]]:
    """Takes a backup; what it returns restores it."""
    if database.kind == "sqlite":
        return lambda: _sqlite(Path(database.url.removeprefix("sqlite:///")))
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    name: str = request.getfixturevalue("postgres_database")
    return lambda: _postgresql(cluster, name)


def _sqlite(path: Path) -> Callable[[], None]:
    db.session.rollback()
    kept = path.with_suffix(".backup")
    with sqlite3.connect(path) as source, sqlite3.connect(kept) as target:
        source.backup(target)
    source.close()
    target.close()

    def restore() -> None:
        db.session.remove()
        db.engine.dispose()
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(kept, path)

    return restore


def _postgresql(cluster: PostgresCluster, name: str) -> Callable[[], None]:
    """Table by table, as pg_dump does."""
    db.session.rollback()
    tables = [table.name for table in db.metadata.sorted_tables]
    kept: dict[str, list[bytes]] = {}
    with cluster.connect(name) as connection, connection.cursor() as cursor:
        for table in tables:
            with cursor.copy(f"COPY {table} TO STDOUT") as copy:
                kept[table] = [bytes(part) for part in copy]

    def restore() -> None:
        db.session.remove()
        db.engine.dispose()
        with cluster.connect(name) as connection, connection.cursor() as cursor:
            cursor.execute(EMPTY_ALL)
            cursor.execute("SET session_replication_role = replica")
            for table in tables:
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for part in kept[table]:
                        copy.write(part)

    return restore


def test_fault_34_an_order_that_the_backup_knows_is_taken_up_where_the_ca_has_it(
    world: World, acme: Pebble, backup: Callable[[], Callable[[], None]]
) -> None:
    world.issued = acme.issued
    with acme_proxy(acme.directory_url) as proxy:
        proxy.rule = lambda one: (
            problem("serverInternal", 503) if one.path.startswith("/finalize-order/") else None
        )
        world.pay_for("shop.example.com", world.acme_account(proxy.directory_url, acme.ca_bundle))
        world.settle()
        assert world.renewal().order_url is not None
        assert world.renewal().successor_id is None
        restore = backup()
        proxy.rule = lambda _one: None
        world.settle(timedelta(hours=1))
        first = world.renewal().successor
        assert first is not None
        serial = first.serial
        restore()
        assert world.renewal().successor_id is None
        world.settle(timedelta(hours=1))
        again = world.renewal().successor
        assert again is not None
        assert again.serial == serial
        assert len(acme.issued()) == 1
        world.check()


def test_fault_34_an_order_that_the_backup_does_not_know_costs_one_certificate_and_no_coverage(
    world: World, acme: Pebble, backup: Callable[[], Callable[[], None]]
) -> None:
    world.pay_for("shop.example.com", world.acme_account(acme.directory_url, acme.ca_bundle))
    restore = backup()
    world.settle()
    done(world)
    assert len(acme.issued()) == 1
    world.clock.now += LOST
    restore()
    world.settle()
    done(world)
    held = db.session.scalars(select(Certificate.serial).where(Certificate.source == Source.ISSUED)).all()
    assert len(acme.issued()) == 2
    assert [int(one, 16) for one in held] == [int(acme.issued()[-1], 16)]
    world.issued = lambda: acme.issued()[1:]
    world.check()


def test_fault_34_money_that_came_since_is_found_at_the_gateway(
    world: World, backup: Callable[[], Callable[[], None]]
) -> None:
    order_id = world.unpaid("a.example.com")[0].id
    db.session.execute(delete(Payment))
    db.session.commit()
    order = db.session.get_one(Order, order_id)
    pay_url = paying.start(order, ADDRESSES, "Hosting", "en", world.clock.now)
    visit(pay_url)
    restore = backup()
    decide(pay_url)
    ask_gateway(world)
    assert db.session.get_one(Order, order_id).state is OrderState.FULFILLED
    restore()
    assert db.session.get_one(Order, order_id).state is OrderState.OPEN
    world.clock.now += LOST
    ask_gateway(world)
    assert db.session.get_one(Order, order_id).state is OrderState.FULFILLED
    assert [one.state for one in db.session.scalars(select(Payment))] == [PaymentState.PAID]
    world.settle()
    world.check()


def ask_gateway(world: World) -> None:
    """What is due of orders within the next hour: the gateway is asked soon after a payment was started."""
    kind, soon = KINDS["order"], world.clock.now + timedelta(minutes=20)
    for _ in range(3):
        drive_all(kind, due_ids(kind, soon), lambda: soon)
    db.session.expire_all()

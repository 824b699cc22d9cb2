"""Faults 6 to 11: the doorbell is emptied, away, full, doubled, killed, poisoned. The database is the truth."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import func, insert, select

from jobs.renewal import advance
from jobs.schedule import PERIODIC, BellScheduler, reconcile
from portal.adapters.payment.sandbox import app_id_of
from portal.app import create_app
from portal.clock import utc_now
from portal.domain.alarms import AlarmKind
from portal.domain.order import OrderKind, OrderState
from portal.domain.renewal import RenewalState
from portal.doorbell import own_connection, queue
from portal.extensions import db
from portal.models.history import HistoryEntry
from portal.models.order import Order
from portal.models.types import new_id
from portal.queue import QueueName
from portal.services import crediting, scanning
from portal.settings import child_environment
from tests import servers
from tests.clients import PortalClient
from tests.databases import open_app
from tests.faults.world import World, done
from tests.gateway import SECRET, notification

#: What fault 6 allows before everything is under way again.
REDRIVEN_WITHIN = timedelta(minutes=2)


@pytest.fixture
def own_redis() -> Iterator[Path]:
    """A folder for a Redis that a test starts, stops and starts again."""
    with servers.short_folder("redis") as folder:
        yield folder


def address(folder: Path) -> dict[str, str]:
    return {"PORTAL_REDIS_URL": f"unix://{folder / 'redis.sock'}"}


def test_fault_6_a_redis_that_is_emptied_and_then_restarted_empty_costs_no_more_than_a_delay(
    world: World, own_redis: Path
) -> None:
    points = ("renewal.started.before", "renewal.validated.before")
    for number in range(6):
        world.pay_for(f"shop{number}.example.com")
    slow = dict.fromkeys(points, "sleep:0.3")
    with world.crew(slow, **address(own_redis)) as crew:
        with servers.redis_server(own_redis) as server:
            world.wait(crew, lambda: world.reached(points[0]))
            server.flush()
            world.wait(crew, lambda: world.reached(points[1]))
        with servers.redis_server(own_redis):
            world.wait(crew)
        assert crew.deaths.total() == 0
        world.check(crew.log())


def test_fault_6_a_ring_for_a_key_that_was_lost_is_rung_again_in_time(world: World) -> None:
    """RSA keys are made in a queue of their own, in which rings count for longer."""
    world.pay_for("rsa.example.com", key_type="rsa-2048")
    world.drive_due_orders()
    renewal_id = world.renewal().id
    with own_connection(world.settings) as redis:
        advance(renewal_id)
        assert world.renewal().state is RenewalState.CHECKED
        assert queue(QueueName.KEY, redis).count == 1
        redis.flushall()
        scanning.scan(utc_now() + REDRIVEN_WITHIN)
        rung = [id_ for name in QueueName for job in queue(name, redis).jobs for id_ in job.args]
        assert renewal_id in rung
    world.settle(timedelta(minutes=1))
    world.check()


@pytest.mark.databases("sqlite")
def test_fault_7_paying_commits_without_redis_the_page_says_so_and_it_goes_on_by_itself(
    world: World, own_redis: Path
) -> None:
    """Ten minutes are no other than these seconds: nothing counts the time that Redis is away."""
    world.pay_for("a.example.com")
    order, payment = world.unpaid("b.example.com")
    away = replace(
        world.settings,
        redis_url=address(own_redis)["PORTAL_REDIS_URL"],
        payment_sandbox_url="http://127.0.0.1:9",
    )
    portal = create_app(away)
    portal.testing, portal.test_client_class = True, PortalClient
    with world.crew(**address(own_redis)) as crew:
        with open_app(portal):
            form = notification(app_id_of(away), payment, f"{order.total.fen / 100:.2f}", secret=SECRET)
            crediting.take_notification("sandbox", form, "127.0.0.1", world.clock.now)
            client = portal.test_client()
            client.log_in(world.cast.alice)
            page = client.get(f"/orders/{order.number}")
            assert page.status_code == 200
            assert 'hx-trigger="every 2s"' in page.text
            assert client.get("/readyz").status_code == 200
        db.session.rollback()
        db.session.expire_all()
        assert db.session.get_one(Order, order.id).state is not OrderState.OPEN
        world.wait(crew, lambda: "without_redis" in crew.log())
        with servers.redis_server(own_redis):
            world.wait(crew)
            done(world, 2)
            assert crew.deaths.total() == 0
            world.check(crew.log())


@pytest.mark.databases("postgresql")
def test_fault_8_a_full_redis_loses_no_order(world: World, own_redis: Path) -> None:
    world.pay_for("a.example.com")
    with servers.redis_server(own_redis) as server, Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory", "1")
        with world.crew(**address(own_redis)) as crew:
            world.wait(crew, lambda: "without_redis" in crew.log() or "doorbell_silent" in crew.log())
            time.sleep(1)
            assert crew.deaths.total() == 0
            redis.config_set("maxmemory", "0")
            world.wait(crew)
            world.check(crew.log())


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("module", ["jobs.worker", "jobs.schedule"])
def test_fault_8_a_redis_that_evicts_is_refused_at_the_start(
    world: World, own_redis: Path, module: str
) -> None:
    with servers.redis_server(own_redis) as server, Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory-policy", "volatile-lru")
        environment = child_environment({**world.environment, **address(own_redis)})
        ended = subprocess.run(
            [sys.executable, "-m", module], env=environment, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 1
        assert "noeviction" in ended.stderr


@pytest.mark.databases("postgresql")
def test_fault_9_two_schedulers_and_many_due_rows_have_one_effect_each(world: World) -> None:
    expire_with_two_schedulers(world, 1_000)


def expire_with_two_schedulers(world: World, count: int, timeout: float = 60) -> None:
    """`count` open orders have run out; two schedulers ring for them, three workers close them."""
    template = world.factory.order(world.cast.organisation, world.cast.alice, [], state=OrderState.OPEN)
    values = {
        "organisation_id": template.organisation_id,
        "created_by_id": template.created_by_id,
        "kind": OrderKind.EXISTING,
        "state": OrderState.OPEN,
        "price_book_edition": template.price_book_edition,
        "total_fen": 0,
        "currency": "CNY",
        "created_at": world.factory.now - timedelta(hours=1),
        "expires_at": world.factory.now,
        "next_attempt_at": world.factory.now,
        **dict.fromkeys(("fence", "attempts", "polls"), 0),
    }
    rows = [{"id": new_id(), "number": f"E{number:06d}", **values} for number in range(count)]
    db.session.execute(insert(Order), rows)
    db.session.commit()
    still_open = select(func.count()).where(Order.next_attempt_at <= world.factory.now)

    def is_closed() -> bool:
        db.session.rollback()
        return db.session.scalar(still_open) == 0

    with world.crew(workers=3, schedulers=2) as crew:
        world.wait(crew, is_closed, timeout)
        logs = crew.log()
    effects = select(func.count()).where(HistoryEntry.subject_type == "orders")
    assert db.session.scalar(effects) == count
    subjects = select(func.count(HistoryEntry.subject_id.distinct()))
    assert db.session.scalar(subjects.where(HistoryEntry.subject_type == "orders")) == count
    assert "deadlock" not in logs
    world.check(logs)


#: A scheduler that dies as soon as Redis has moved an entry on and before it rings.
DIES_IN_BETWEEN = """
import os, signal, redis
move = redis.Redis.zadd
def move_and_die(self, *args, **kwargs):
    moved = move(self, *args, **kwargs)
    if kwargs.get("xx"):
        os.kill(os.getpid(), signal.SIGKILL)
    return moved
redis.Redis.zadd = move_and_die
from jobs import schedule
schedule.main()
"""


@pytest.mark.databases("sqlite")
def test_fault_10_a_scheduler_killed_between_moving_and_ringing_loses_no_entry(world: World) -> None:
    world.pay_for("a.example.com")
    command = [sys.executable, "-c", DIES_IN_BETWEEN]
    db.session.rollback()
    ended = subprocess.run(command, env=child_environment(world.environment), capture_output=True, timeout=60)
    assert ended.returncode == -9
    with own_connection(world.settings) as redis:
        assert set(BellScheduler(redis).entry_ids()) == {one.id for one in PERIODIC}
        assert sum(queue(name, redis).count for name in QueueName) == 0
        with world.crew() as crew:
            world.wait(crew)
            world.check(crew.log())


@pytest.mark.databases("postgresql")
def test_fault_11_poison_in_the_schedule_and_in_the_queues_holds_nobody_up(world: World) -> None:
    world.pay_for("a.example.com")
    with own_connection(world.settings) as redis:
        reconcile(redis, world.settings)
        redis.hset(
            "rq:job:poison", mapping={"data": b"\x80\x04junk", "meta": b"\x80", "created_at": b"never"}
        )
        redis.hset("rq:job:foreign", mapping={"data": b"x", "created_at": b"2026-01-01T00:00:00Z"})
        redis.zadd(BellScheduler.scheduled_jobs_key, {"poison": 0, "foreign": 0, b"\xff\xfe": 0})
        for name in QueueName:
            redis.lpush(f"rq:queue:{name.value}", "poison", "foreign", "missing")
        with world.crew() as crew:
            world.wait(crew)
            redis.zadd(BellScheduler.scheduled_jobs_key, {"poison": 0})
            world.wait(crew, lambda: AlarmKind.SCHEDULE_DAMAGED.value in world.open_alarms())
            assert crew.deaths.total() == 0
            world.check(crew.log())
        assert "poison" not in BellScheduler(redis).entry_ids()

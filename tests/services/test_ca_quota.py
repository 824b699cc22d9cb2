"""Tokens and places are never given twice, however many take at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.domain.rate_limits import LETSENCRYPT
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.authority import RateBucket
from portal.models.hosting import Renewal
from portal.services import ca_buckets, ca_capacity, ca_quota
from tests.databases import Database
from tests.factories import Cast, Factory
from tests.services.capacity import Shop, at_once, outcome, refusal

LIMIT = {"name": "orders", "counts": "account", "event": "order", "capacity": 5, "seconds": 36_000}


@pytest.fixture
def shop(factory: Factory, cast: Cast, now: datetime) -> Shop:
    return Shop.open(factory, cast, now)


def admitted(ids: list[str], now: datetime) -> Counter[object]:
    """Admit all of them at once, each in a thread of its own."""

    def one(renewal_id: str) -> str:
        return outcome(db.session.get_one(Renewal, renewal_id), now)

    return Counter(at_once([lambda renewal_id=one_id: one(renewal_id) for one_id in ids]))


def test_of_many_who_take_at_once_no_more_get_through_than_there_are_tokens(
    shop: Shop, now: datetime
) -> None:
    shop.set(config={"limits": [LIMIT]})
    ids = [shop.due().id for _ in range(12)]
    assert admitted(ids, now) == {"primary": 5, "ca_rate_limited": 7}


def test_takers_of_several_buckets_neither_overdraw_nor_block_each_other(shop: Shop, now: datetime) -> None:
    per_domain = {
        "name": "domain",
        "counts": "domain",
        "event": "certificate",
        "capacity": 3,
        "seconds": 36_000,
    }
    shop.set(config={"limits": [LIMIT | {"capacity": 100}, per_domain]})
    names = ("www.b.example", "www.a.example")
    ids = [shop.due(*names[:: (-1) ** number]).id for number in range(8)]
    assert admitted(ids, now) == {"primary": 3, "ca_rate_limited": 5}
    left = db.session.scalars(select(RateBucket.full_at).where(RateBucket.limit_name == "orders")).one()
    assert left - now == timedelta(seconds=360) * 3


def test_no_more_orders_are_open_at_once_than_may_be(shop: Shop, now: datetime) -> None:
    shop.set(config={"max_in_flight": "3"})
    shop.due(state=RenewalState.VALIDATING, order_url="https://ca.example/order/1")
    shop.due(state=RenewalState.ISSUED)
    ids = [shop.due().id for _ in range(10)]
    assert admitted(ids, now) == {"primary": 2, "ca_busy": 8}
    assert ca_quota.in_flight(shop.account.id, now) == 3


_ADMIT = """
import json, sys
from datetime import datetime
from flask import Flask
from portal.adapters.errors import AdapterError
from portal.app import create_core
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.services.ca_capacity import admit
from tests.databases import bare_settings
from pathlib import Path

folder, url, now, ids = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3]), sys.argv[4:]
with create_core(bare_settings(folder, url)).app_context():
    db.session.get(Renewal, ids[0])
    db.session.commit()
    print("ready", flush=True)
    sys.stdin.readline()
    for one in ids:
        try:
            print(admit(db.session.get_one(Renewal, one), now).name)
        except AdapterError as error:
            print(error.code)
"""


def test_processes_share_what_there_is(shop: Shop, now: datetime, database: Database, tmp_path: Path) -> None:
    shop.set(config={"limits": [LIMIT], "max_in_flight": "4"})
    ids = [shop.due().id for _ in range(12)]
    command = [sys.executable, "-c", _ADMIT, str(tmp_path), database.url, now.isoformat()]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    processes = [subprocess.Popen([*command, *ids[start::2]], **pipes) for start in range(2)]
    try:
        assert [one.stdout.readline() for one in processes] == ["ready\n"] * 2
        said = [one.communicate("go\n", timeout=60)[0] for one in processes]
    finally:
        for one in processes:
            one.kill()
            one.wait()
    counted = Counter(" ".join(said).split())
    assert counted["primary"] == 4
    assert sum(counted.values()) == 12


def test_an_order_that_was_about_to_be_placed_and_never_was_gives_its_place_back_in_time(
    shop: Shop, now: datetime
) -> None:
    shop.set(config={"max_in_flight": "1"})
    assert outcome(shop.due(), now) == "primary"
    waiting = shop.due()
    assert outcome(waiting, now + timedelta(seconds=30)) == "ca_busy"
    assert outcome(waiting, now + timedelta(minutes=5)) == "primary"


def test_one_renewal_has_one_place(shop: Shop, now: datetime) -> None:
    shop.set(config={"max_in_flight": "1"})
    renewal = shop.due()
    assert [outcome(renewal, now) for _ in range(3)] == ["primary"] * 3


def test_a_placed_order_and_its_reservation_are_one(shop: Shop, now: datetime) -> None:
    shop.set(config={"max_in_flight": "2"})
    renewal = shop.due()
    outcome(renewal, now)
    renewal.state, renewal.order_url = RenewalState.ORDERED, "https://ca.example/order/1"
    db.session.commit()
    assert ca_quota.in_flight(shop.account.id, now) == 1
    assert outcome(shop.due(), now) == "primary"


def test_an_order_that_is_refused_leaves_nothing_taken(shop: Shop, now: datetime) -> None:
    per_names = {
        "name": "z_names",
        "counts": "names",
        "event": "certificate",
        "capacity": 1,
        "seconds": 36_000,
    }
    shop.set(config={"limits": [LIMIT, per_names], "max_in_flight": "9"})
    outcome(shop.due("a.example"), now)
    refusal(shop.due("a.example"), now)
    taken = db.session.scalars(select(RateBucket.full_at).where(RateBucket.limit_name == "orders")).one()
    assert taken - now == timedelta(hours=2)
    assert ca_quota.in_flight(shop.account.id, now) == 1


@pytest.mark.databases("sqlite")
def test_letsencrypts_limits_hold_back_the_fifty_first_certificate_of_a_domain(
    shop: Shop, now: datetime
) -> None:
    shop.set(config={"limits": "letsencrypt"})
    limit = LETSENCRYPT[1]
    full_at = None
    for _ in range(49):
        full_at = limit.take(full_at, now)
    assert full_at is not None
    key = (limit.name, "example.com.cn")
    ca_buckets.move(shop.account.id, key, None, lambda _known: full_at)
    db.session.commit()
    assert outcome(shop.due("a.example.com.cn"), now) == "primary"
    assert refusal(shop.due("b.example.com.cn"), now).not_before == now + limit.interval
    assert outcome(shop.due("www.other.com.cn"), now) == "primary"


@pytest.mark.databases("sqlite")
def test_an_account_without_limits_writes_nothing(shop: Shop, now: datetime) -> None:
    outcome(shop.due(), now)
    assert db.session.scalar(select(func.count()).select_from(RateBucket)) == 0


@pytest.mark.databases("sqlite")
def test_full_buckets_are_forgotten(shop: Shop, now: datetime) -> None:
    shop.set(config={"limits": [LIMIT]})
    ca_capacity.admit(shop.due(), now)
    ca_buckets.forget_full(now)
    assert ca_buckets.read(shop.account.id, [("orders", "")])
    ca_buckets.forget_full(now + timedelta(days=1))
    assert not ca_buckets.read(shop.account.id, [("orders", "")])


@pytest.mark.databases("sqlite")
def test_ten_thousand_in_a_day_are_spread_within_the_quota(shop: Shop, now: datetime) -> None:
    """Fault 35, in small: 120 due at once for 24 orders an hour. Each is tried about twice."""
    shop.set(config={"limits": [LIMIT | {"capacity": 24, "seconds": 3600}]})
    waiting = {shop.due().id: now for _ in range(120)}
    through: list[datetime] = []
    tries, moment = 0, now
    while waiting:
        renewal_id, moment = min(waiting.items(), key=lambda pair: pair[1])
        renewal = db.session.get_one(Renewal, renewal_id)
        tries += 1
        try:
            ca_capacity.admit(renewal, moment)
            through.append(moment)
            del waiting[renewal_id]
        except ca_capacity.AdapterError as error:
            assert error.not_before is not None
            waiting[renewal_id], renewal.error_code = error.not_before, error.code
            db.session.commit()
    assert tries <= 250
    assert moment - now <= timedelta(hours=5)
    for begin in through:
        within = [one for one in through if begin <= one < begin + timedelta(hours=1)]
        assert len(within) <= 24 + 24

"""What operators set on CA accounts: audited, and what waited goes on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.history import AuditEntry
from portal.models.hosting import Renewal
from portal.services import ca_standings, ca_switches
from portal.services.ca_standings import Standing
from tests.factories import Cast, Factory
from tests.services.capacity import Shop, outcome, refusal

ONE_AN_HOUR = {"name": "orders", "counts": "account", "event": "order", "capacity": 1, "seconds": 3600}


@pytest.fixture
def shop(factory: Factory, cast: Cast, now: datetime) -> Shop:
    return Shop.open(factory, cast, now)


def account(shop: Shop) -> CaAccount:
    db.session.expire_all()
    return db.session.get_one(CaAccount, shop.account.id)


def acts() -> list[tuple[str, str, dict[str, Any]]]:
    rows = db.session.execute(select(AuditEntry.action, AuditEntry.actor, AuditEntry.params))
    return [tuple(row) for row in rows]  # type: ignore[misc]


def test_a_pause_is_kept_from_its_first_moment_with_its_reason(shop: Shop, now: datetime) -> None:
    ca_switches.pause("primary", "cli", "maintenance", now)
    ca_switches.pause("primary", "cli", "", now + timedelta(hours=1))
    assert account(shop).paused_at == now
    ca_switches.resume("primary", "cli", "done", now + timedelta(hours=2))
    assert account(shop).paused_at is None
    assert acts() == [
        ("ca_account.pause", "cli", {"name": "primary", "reason": "maintenance"}),
        ("ca_account.pause", "cli", {"name": "primary"}),
        ("ca_account.resume", "cli", {"name": "primary", "reason": "done"}),
    ]


@pytest.mark.parametrize("switch", [ca_switches.pause, ca_switches.resume])
def test_an_unknown_account_is_named(session: scoped_session[Session], now: datetime, switch: Any) -> None:
    with pytest.raises(DomainError, match="ca_account_unknown"):
        switch("nobody", "cli", "", now)
    assert acts() == []


def test_more_room_is_used_at_once(shop: Shop, now: datetime) -> None:
    shop.set(config={"limits": [ONE_AN_HOUR]})
    outcome(shop.due(), now)
    waiting = [shop.due(error_code="ca_rate_limited") for _ in range(3)]
    for one in waiting:
        moment = refusal(one, now).not_before
        one.next_attempt_at = moment
    db.session.commit()
    ca_switches.set_limits("primary", [ONE_AN_HOUR | {"capacity": 100}], "5", "cli", now)
    db.session.expire_all()
    assert {row.next_attempt_at for row in db.session.scalars(select(Renewal)) if row.error_code} == {now}
    assert [outcome(one, now) for one in waiting] == ["primary"] * 3
    assert account(shop).config["max_in_flight"] == "5"


def test_what_is_not_given_stays_and_what_is_emptied_goes(shop: Shop, now: datetime) -> None:
    ca_switches.set_limits("primary", "letsencrypt", "5", "cli", now)
    ca_switches.set_limits("primary", None, "", "cli", now)
    assert account(shop).config["limits"] == "letsencrypt"
    assert "max_in_flight" not in account(shop).config


@pytest.mark.parametrize(("limits", "most"), [("letsencrpyt", None), (None, "many")])
def test_settings_that_make_no_sense_change_nothing(
    shop: Shop, now: datetime, limits: str | None, most: str | None
) -> None:
    before = dict(account(shop).config)
    with pytest.raises(DomainError, match="field_wrong"):
        ca_switches.set_limits("primary", limits, most, "cli", now)
    db.session.rollback()
    assert account(shop).config == before
    assert acts() == []


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"account_url": "urn:x"}, Standing.READY),
        ({"account_url": None}, Standing.UNREGISTERED),
        ({"account_url": "urn:x", "limited_until": 5}, Standing.LIMITED),
        ({"account_url": "urn:x", "limited_until": -5}, Standing.READY),
        ({"failures": 4, "account_url": "urn:x"}, Standing.READY),
        ({"failures": 5, "open_until": 5, "limited_until": 9}, Standing.OPEN),
        ({"failures": 5, "open_until": -1}, Standing.PROBING),
        ({"failures": 5, "open_until": 5, "paused_at": -1}, Standing.PAUSED),
    ],
)
def test_the_most_lasting_reason_is_shown(
    shop: Shop, now: datetime, columns: dict[str, Any], expected: Standing
) -> None:
    moments = {
        name: now + timedelta(minutes=value) if name.endswith(("_at", "_until")) else value
        for name, value in columns.items()
    }
    shop.set(**moments)
    (seen,) = ca_standings.list_all(now)
    assert seen.standing is expected
    assert (seen.until is not None) == (expected in {Standing.OPEN, Standing.LIMITED})


def test_what_is_left_and_what_waits_is_shown(shop: Shop, now: datetime) -> None:
    shop.set(config={"limits": "letsencrypt", "max_in_flight": "3"})
    outcome(shop.due("www.a.example"), now)
    shop.due(error_code="ca_busy")
    (seen,) = ca_standings.list_all(now)
    assert (seen.in_flight, seen.max_in_flight, seen.waiting) == (1, 3, 1)
    assert [(one.limit.name, one.left, one.scope) for one in seen.quotas] == [
        ("new_orders", 299, ""),
        ("certificates_per_domain", 49, "a.example"),
        ("certificates_per_names", 4, ""),
        ("failed_validations", 5, ""),
    ]

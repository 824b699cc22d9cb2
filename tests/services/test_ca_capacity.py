"""Which account takes an order, and what holds it back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.services import ca_capacity, ca_switches
from portal.services.ca_capacity import admit
from tests.factories import Cast, Factory
from tests.services.capacity import Shop, issued_by, outcome, refusal


@pytest.fixture
def shop(factory: Factory, cast: Cast, now: datetime) -> Shop:
    return Shop.open(factory, cast, now)


def row(renewal: Renewal) -> Renewal:
    db.session.expire_all()
    return db.session.get_one(Renewal, renewal.id)


def test_an_account_that_is_well_takes_the_order(shop: Shop, now: datetime) -> None:
    renewal = shop.due()
    assert admit(renewal, now).id == shop.account.id
    assert row(renewal).ca_account_id == shop.account.id


@pytest.mark.parametrize(
    ("columns", "code", "minutes"),
    [
        ({"paused_at": 0}, "ca_paused", (10, 10)),
        ({"failures": 5, "open_until": 7}, "ca_circuit_open", (7, 8)),
        ({"limited_until": 30}, "ca_rate_limited", (30, 31)),
    ],
)
def test_what_holds_an_account_back_is_named_with_the_next_try(
    shop: Shop, now: datetime, columns: dict[str, int], code: str, minutes: tuple[int, int]
) -> None:
    moments = {
        key: value if key == "failures" else now + timedelta(minutes=value) for key, value in columns.items()
    }
    shop.set(**moments)
    error = refusal(shop.due(), now)
    assert (error.code, error.params["name"]) == (code, "primary")
    assert error.code in ca_capacity.WAITS
    assert error.not_before is not None
    assert timedelta(minutes=minutes[0]) <= error.not_before - now <= timedelta(minutes=minutes[1])


def test_an_emergency_overrides_neither_pause_nor_limits(shop: Shop, now: datetime) -> None:
    renewal = shop.due(expires_in=timedelta(hours=1))
    shop.set(limited_until=now + timedelta(hours=2))
    assert refusal(renewal, now).code == "ca_rate_limited"
    shop.set(limited_until=None, paused_at=now)
    assert refusal(renewal, now).code == "ca_paused"


def test_fallbacks_are_asked_by_position_and_written_on_the_renewal(shop: Shop, now: datetime) -> None:
    first, second = shop.fallback("first"), shop.fallback("second")
    renewal = shop.due()
    shop.set(paused_at=now)
    assert admit(renewal, now).id == first.id
    assert row(renewal).ca_account_id == first.id
    shop.set(first, failures=9, open_until=now + timedelta(minutes=5))
    assert admit(renewal, now).id == second.id
    shop.set(second, limited_until=now + timedelta(minutes=1))
    error = refusal(renewal, now)
    assert (error.code, error.params["name"]) == ("ca_paused", "primary")
    assert error.not_before is not None
    assert error.not_before - now <= timedelta(minutes=2)


def test_the_products_own_account_is_gone_back_to(shop: Shop, now: datetime) -> None:
    shop.fallback("first")
    renewal = shop.due()
    shop.set(paused_at=now)
    assert outcome(renewal, now) == "first"
    shop.set(paused_at=None)
    assert outcome(renewal, now) == "primary"
    assert row(renewal).ca_account_id == shop.account.id


def test_an_account_without_quota_is_stood_in_for(shop: Shop, now: datetime) -> None:
    shop.set(config={"limits": [_one_an_hour()]})
    shop.fallback("first")
    assert [outcome(shop.due(), now) for _ in range(3)] == ["primary", "first", "first"]


def test_an_account_that_is_only_busy_is_waited_for(shop: Shop, now: datetime) -> None:
    shop.set(config={"max_in_flight": "1"})
    shop.fallback("first")
    assert outcome(shop.due(), now) == "primary"
    error = refusal(shop.due(), now)
    assert error.code == "ca_busy"
    assert error.not_before is not None
    assert error.not_before - now <= timedelta(minutes=1)


def test_a_writer_whose_claim_is_lost_changes_no_account(shop: Shop, now: datetime) -> None:
    shop.fallback("first")
    renewal = shop.due()
    shop.set(paused_at=now)
    db.session.query(Renewal).filter_by(id=renewal.id).update({"fence": 7}, synchronize_session=False)
    db.session.commit()
    admit(renewal, now)
    assert row(renewal).ca_account_id == shop.account.id


def test_an_order_that_is_placed_keeps_its_account(shop: Shop, now: datetime) -> None:
    shop.fallback("first")
    renewal = shop.due(order_url="https://ca.example/order/1", state=RenewalState.ORDERED)
    shop.set(paused_at=now)
    admit(renewal, now)
    assert row(renewal).ca_account_id == shop.account.id


def test_waiting_renewals_come_back_one_after_another(shop: Shop, now: datetime) -> None:
    """Ten for two tokens an hour: each is told its own moment, half an hour apart, instead of all at once."""
    shop.set(config={"limits": [_one_an_hour() | {"capacity": 2}]})
    renewals = [shop.due() for _ in range(10)]
    assert [outcome(one, now) for one in renewals[:2]] == ["primary", "primary"]
    moments = sorted(refusal(one, now).not_before or now for one in renewals[2:])
    assert [moment - now for moment in moments] == [timedelta(minutes=30) * n for n in range(1, 9)]


def test_one_whose_turn_has_come_goes_before_a_newcomer(shop: Shop, now: datetime) -> None:
    shop.set(config={"limits": [_one_an_hour()]})
    assert outcome(shop.due(), now) == "primary"
    waiting = shop.due()
    turn = refusal(waiting, now).not_before
    assert turn is not None
    waiting.error_code = "ca_rate_limited"
    db.session.commit()
    assert refusal(shop.due(), turn).code == "ca_rate_limited"
    assert outcome(waiting, turn) == "primary"


def test_an_emergency_stands_in_no_queue(shop: Shop, now: datetime) -> None:
    shop.set(config={"limits": [_one_an_hour()]})
    assert outcome(shop.due(), now) == "primary"
    for _ in range(5):
        refusal(shop.due(), now)
    pressing = shop.due(expires_in=timedelta(days=1))
    assert refusal(pressing, now).not_before == now + timedelta(hours=1)
    assert outcome(pressing, now + timedelta(hours=1)) == "primary"


def test_nobody_waits_past_the_moment_that_its_emergency_begins(shop: Shop, now: datetime) -> None:
    shop.set(config={"limits": [_one_an_hour() | {"seconds": 86_400}]})
    assert outcome(shop.due(), now) == "primary"
    for _ in range(30):
        refusal(shop.due(), now)
    late = refusal(shop.due(expires_in=timedelta(days=12)), now).not_before
    assert late is not None
    assert late - now <= timedelta(days=12 - 199 / 20)


def test_a_certificate_is_counted_once_for_a_renewal_and_an_order_every_time(
    shop: Shop, now: datetime
) -> None:
    """A CA that fails to take orders uses up no certificates: what is tried again was counted already."""
    orders = {"name": "orders", "counts": "account", "event": "order", "capacity": 4, "seconds": 3600}
    certificates = {
        "name": "certs",
        "counts": "names",
        "event": "certificate",
        "capacity": 1,
        "seconds": 86_400,
    }
    shop.set(config={"limits": [orders, certificates]})
    renewal = shop.due()
    assert [outcome(renewal, now) for _ in range(4)] == ["primary"] * 4
    assert refusal(renewal, now).not_before == now + timedelta(minutes=15)
    assert refusal(shop.due(*renewal.names), now + timedelta(hours=2)).code == "ca_rate_limited"


def test_renewals_that_name_their_predecessor_are_spared(shop: Shop, now: datetime) -> None:
    shop.set(config={"limits": [_one_an_hour() | {"spares_replacements": True}]})
    renewals = [shop.due() for _ in range(3)]
    assert [outcome(one, now) for one in renewals] == ["primary", "ca_rate_limited", "ca_rate_limited"]
    for one in renewals:
        issued_by(shop.account, one.predecessor)
    assert [outcome(one, now) for one in renewals[1:]] == ["primary", "primary"]


def test_resuming_makes_what_waited_due_at_once(shop: Shop, now: datetime) -> None:
    later = now + timedelta(hours=5)
    waiting = shop.due(error_code="ca_paused", next_attempt_at=later)
    failing = shop.due(error_code="ca_refused", next_attempt_at=later)
    ca_switches.pause("primary", "cli", "", now)
    ca_switches.resume("primary", "cli", "", now)
    assert row(waiting).next_attempt_at == now
    assert row(failing).next_attempt_at == later


def _one_an_hour() -> dict[str, object]:
    return {"name": "orders", "counts": "account", "event": "order", "capacity": 1, "seconds": 3600}

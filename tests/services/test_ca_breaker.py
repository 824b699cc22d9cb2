"""A CA that is away is left alone, and found again by one; what it asks for is kept to."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from portal.adapters.errors import AdapterError
from portal.domain.alarms import AlarmKind
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.services import ca_breaker
from portal.services.ca_capacity import note_failure, note_success
from tests.factories import Cast, Factory
from tests.services.capacity import Shop, at_once, outcome, refusal

AWAY = AdapterError("ca_unavailable", permanent=False, detail="no answer")


@pytest.fixture
def shop(factory: Factory, cast: Cast, now: datetime) -> Shop:
    return Shop.open(factory, cast, now)


def alarms() -> set[AlarmKind]:
    return set(db.session.scalars(select(Alarm.kind).where(Alarm.cleared_at.is_(None))))


def fresh(shop: Shop) -> CaAccount:
    db.session.expire_all()
    return db.session.get_one(CaAccount, shop.account.id)


def fail(shop: Shop, now: datetime, times: int = 1, error: AdapterError = AWAY) -> None:
    for _ in range(times):
        note_failure(fresh(shop), error, now)


def limited(said: str, now: datetime, minutes: int = 60) -> AdapterError:
    until = now + timedelta(minutes=minutes)
    return AdapterError("ca_rate_limited", permanent=False, not_before=until, detail=said)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 30), (5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900), (9_999, 900)],
)
def test_the_pause_doubles_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert ca_breaker.pause_after(failures) == timedelta(seconds=seconds)


def test_four_failures_are_lived_with_and_the_fifth_opens(shop: Shop, now: datetime) -> None:
    fail(shop, now, 4)
    assert outcome(shop.due(), now) == "primary"
    assert alarms() == set()
    fail(shop, now)
    error = refusal(shop.due(), now)
    assert error.code == "ca_circuit_open"
    assert error.not_before is not None
    assert timedelta(seconds=30) <= error.not_before - now <= timedelta(seconds=90)
    assert alarms() == {AlarmKind.CA_UNAVAILABLE}


def test_an_answer_in_between_starts_the_count_anew(shop: Shop, now: datetime) -> None:
    for answer in (
        None,
        AdapterError("ca_refused", permanent=True),
        AdapterError("ca_order_gone", permanent=False),
    ):
        fail(shop, now, 4)
        if answer is None:
            note_success(fresh(shop), now)
        else:
            note_failure(fresh(shop), answer, now)
        assert fresh(shop).failures == 0


def test_an_error_that_is_not_the_cas_says_nothing_of_it(shop: Shop, now: datetime) -> None:
    fail(shop, now, 4)
    note_failure(fresh(shop), AdapterError("dns_unavailable", permanent=False), now)
    assert fresh(shop).failures == 4


def test_one_of_many_is_the_probe(shop: Shop, now: datetime) -> None:
    fail(shop, now, 5)
    later = now + timedelta(minutes=1)
    ids = [shop.due().id for _ in range(6)]

    def admit(renewal_id: str) -> str:
        return outcome(db.session.get_one(Renewal, renewal_id), later)

    results = at_once([lambda one_id=one: admit(one_id) for one in ids])
    assert Counter(results) == {"primary": 1, "ca_circuit_open": 5}


def test_a_probe_that_fails_doubles_the_pause_and_one_that_succeeds_closes(shop: Shop, now: datetime) -> None:
    fail(shop, now, 5)
    probe_at = now + timedelta(minutes=1)
    assert outcome(shop.due(), probe_at) == "primary"
    fail(shop, probe_at)
    assert fresh(shop).open_until == probe_at + timedelta(minutes=1)
    probe_at += timedelta(minutes=2)
    assert outcome(shop.due(), probe_at) == "primary"
    note_success(fresh(shop), probe_at)
    assert (fresh(shop).failures, fresh(shop).open_until) == (0, None)
    assert outcome(shop.due(), probe_at) == "primary"
    assert alarms() == set()


def test_a_probe_that_is_never_heard_of_again_is_followed_by_another(shop: Shop, now: datetime) -> None:
    fail(shop, now, 5)
    assert outcome(shop.due(), now + timedelta(minutes=1)) == "primary"
    assert outcome(shop.due(), now + timedelta(minutes=2)) == "ca_circuit_open"
    assert outcome(shop.due(), now + timedelta(minutes=4)) == "primary"


@pytest.mark.databases("sqlite")
def test_five_days_away_then_success(shop: Shop, now: datetime) -> None:
    """Fault 14: asked at least every 17 minutes and never in between, one alarm, and at once when it is back."""
    renewal, moment, tries = shop.due(expires_in=timedelta(days=90)), now, []
    back = now + timedelta(days=5)
    while True:
        if (said := outcome(renewal, moment)) != "primary":
            moment = refusal(renewal, moment).not_before or moment
            continue
        tries.append(moment)
        if moment >= back:
            break
        fail(shop, moment)
        moment += timedelta(seconds=1)
    assert said == "primary"
    assert moment - back <= timedelta(minutes=17)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries[8:])]
    assert min(gaps) >= timedelta(minutes=8)
    assert max(gaps) <= timedelta(minutes=17)
    assert len(db.session.scalars(select(Alarm.id)).all()) == 1


def test_failures_of_many_at_once_are_all_counted(shop: Shop, now: datetime) -> None:
    account_id = shop.account.id
    at_once([lambda: note_failure(db.session.get_one(CaAccount, account_id), AWAY, now)] * 6)
    assert fresh(shop).failures == 6


def test_a_limit_of_the_account_holds_this_account_alone(shop: Shop, now: datetime) -> None:
    """Fault 15: Retry-After is kept to the second; customers of other accounts go on."""
    other = shop.fallback("other")
    fail(shop, now, error=limited("too many new orders (300) from this account in the last 3h", now))
    renewal = shop.due()
    assert outcome(renewal, now) == "other"
    shop.set(other, paused_at=now)
    assert refusal(renewal, now + timedelta(minutes=59)).code == "ca_rate_limited"
    assert outcome(renewal, now + timedelta(minutes=60)) == "primary"
    assert alarms() == {AlarmKind.CA_RATE_LIMITED}
    note_success(fresh(shop), now + timedelta(minutes=60))
    assert (fresh(shop).limited_until, alarms()) == (None, set())


def test_a_limit_that_has_not_ended_outlasts_an_answer(shop: Shop, now: datetime) -> None:
    fail(shop, now, error=limited("slow down", now))
    note_success(fresh(shop), now)
    assert fresh(shop).limited_until is not None


def test_the_longest_of_several_limits_counts(shop: Shop, now: datetime) -> None:
    for minutes in (60, 5):
        fail(shop, now, error=limited("slow down", now, minutes))
    assert fresh(shop).limited_until == now + timedelta(minutes=60)


def test_a_limit_without_a_moment_is_a_short_one(shop: Shop, now: datetime) -> None:
    fail(shop, now, error=AdapterError("ca_rate_limited", permanent=False))
    assert fresh(shop).limited_until == now + ca_breaker.USUAL_HOLD


@pytest.mark.parametrize("names_are_known", [True, False])
def test_a_paused_name_holds_nothing_but_that_name(shop: Shop, now: datetime, names_are_known: bool) -> None:
    """Fault 15: "too many failed authorizations for …" is about a name, and other names go on."""
    error = limited('too many failed authorizations (5) for "www.paused.example" in the last 1h0m0s', now)
    names = ("www.paused.example",) if names_are_known else ()
    note_failure(fresh(shop), error, now, names)
    assert fresh(shop).limited_until is None
    assert alarms() == set()
    assert refusal(shop.due("*.www.paused.example", "a.example"), now).not_before == error.not_before
    assert outcome(shop.due("other.paused.example"), now) == "primary"
    assert outcome(shop.due("www.paused.example"), now + timedelta(hours=1)) == "primary"


def test_a_set_of_names_is_held_as_a_set(shop: Shop, now: datetime) -> None:
    said = "too many certificates (5) already issued for this exact set of identifiers in the last 168h"
    note_failure(fresh(shop), limited(said, now), now, ("a.example", "b.example"))
    assert outcome(shop.due("b.example", "a.example"), now) == "ca_rate_limited"
    assert outcome(shop.due("a.example"), now) == "primary"


def test_a_refused_set_that_is_not_known_holds_nobody(shop: Shop, now: datetime) -> None:
    fail(shop, now, error=limited("already issued for this exact set of identifiers", now))
    assert outcome(shop.due(), now) == "primary"


def test_names_that_failed_four_times_in_an_hour_are_not_tried_a_fifth_time(
    shop: Shop, now: datetime
) -> None:
    shop.set(config={"limits": "letsencrypt"})
    broken = AdapterError("validation_failed", permanent=True, name="broken.example", said="no TXT record")
    for number in range(4):
        assert outcome(shop.due("broken.example", "fine.example"), now) == "primary", number
        fail(shop, now, error=broken)
    assert refusal(shop.due("*.broken.example"), now).not_before == now + timedelta(minutes=12)
    assert outcome(shop.due("sub.broken.example"), now) == "primary"
    assert outcome(shop.due("broken.example"), now + timedelta(minutes=12)) == "primary"


def test_an_account_that_the_ca_has_lost_is_an_alarm(shop: Shop, now: datetime) -> None:
    fail(shop, now, error=AdapterError("ca_account_gone", permanent=False))
    assert alarms() == {AlarmKind.CA_ACCOUNT_LOST}

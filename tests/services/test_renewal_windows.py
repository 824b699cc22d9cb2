"""The CA's window moves the renewal that waits, once, and never against anybody's decision."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.adapters.ca.ari import certificate_id
from portal.adapters.errors import AdapterError
from portal.domain.due import DueReason, emergency_at
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.services import renewal_windows
from portal.services.renewal_windows import LATEST_LOOK, SOONEST_LOOK, UNKNOWN_LOOK, USUAL_LOOK, look
from tests.acme_proxy import Answer, problem
from tests.ari_front import PATH, AriFront, ari_front
from tests.factories import Cast, Factory
from tests.pebble import pebble
from tests.services.capacity import issued_by, issuer_key

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def running() -> Iterator[AriFront]:
    with pebble() as server, ari_front(server.directory_url) as front:
        yield front


@pytest.fixture
def front(running: AriFront) -> AriFront:
    running.windows.clear()
    running.asked.clear()
    running.retry_after, running.explanation_url, running.proxy.rule = None, None, lambda _request: None
    return running


@pytest.fixture
def account(factory: Factory, front: AriFront) -> CaAccount:
    config = {"directory_url": front.proxy.directory_url, "ca_bundle": front.proxy.ca_bundle}
    return factory.ca_account("public", "acme", config)


@pytest.fixture
def certificate(factory: Factory, cast: Cast, account: CaAccount) -> Certificate:
    """One of 90 days, 60 of them left, issued here by that account."""
    made = factory.certificate(
        cast.organisation, extensions=[issuer_key()], lifetime=90 * DAY, expires_in=60 * DAY
    )
    issued_by(account, made)
    return made


@pytest.fixture
def hosting(factory: Factory, certificate: Certificate, account: CaAccount) -> Hosting:
    return factory.hosting(certificate, factory.product(ca_account=account))


@pytest.fixture
def renewal(factory: Factory, hosting: Hosting) -> Renewal:
    return factory.renewal(hosting)


def name_of(certificate: Certificate) -> str:
    name = certificate_id(renewal_windows._leaf(certificate))
    assert name is not None
    return name


def row(renewal: Renewal) -> Renewal:
    db.session.expire_all()
    return db.session.get_one(Renewal, renewal.id)


def put(renewal: Renewal, **columns: Any) -> None:
    for name, value in columns.items():
        setattr(renewal, name, value)
    db.session.commit()


@dataclass
class Case:
    """A hosted certificate and the renewal that waits."""

    front: AriFront
    hosting: Hosting
    renewal: Renewal
    now: datetime

    def suggest(self, start: datetime, end: datetime) -> None:
        """Let the CA suggest a window."""
        self.front.windows[name_of(self.hosting.certificate)] = (start, end)


@pytest.fixture
def case(front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime) -> Case:
    return Case(front, hosting, renewal, now)


@pytest.mark.parametrize(("point", "expected"), [(0.0, 10.0), (0.5, 11.0), (0.999, 11.998)])
def test_the_renewal_falls_due_at_a_point_of_the_window(case: Case, point: float, expected: float) -> None:
    case.suggest(case.now + 10 * DAY, case.now + 12 * DAY)
    case.front.explanation_url = "https://ca.example/why"
    assert look(case.hosting, case.now, lambda: point) == case.now + USUAL_LOOK
    found = row(case.renewal)
    assert found.next_attempt_at is not None
    assert abs(found.next_attempt_at - case.now - timedelta(days=expected)) < timedelta(minutes=1)
    assert (found.due_reason, found.explanation_url) == (DueReason.ARI, "https://ca.example/why")
    assert (found.window_start, found.window_end) == (case.now + 10 * DAY, case.now + 12 * DAY)


def test_a_point_is_drawn_once_for_a_window(case: Case) -> None:
    case.suggest(case.now + 10 * DAY, case.now + 12 * DAY)
    look(case.hosting, case.now)
    first = row(case.renewal).next_attempt_at
    for hour in range(3):
        look(case.hosting, case.now + timedelta(hours=hour))
    assert row(case.renewal).next_attempt_at == first
    case.suggest(case.now + 20 * DAY, case.now + 22 * DAY)
    look(case.hosting, case.now)
    moved = row(case.renewal).next_attempt_at
    assert moved is not None
    assert case.now + 20 * DAY <= moved <= case.now + 22 * DAY


@pytest.mark.databases("sqlite")
def test_points_are_spread_evenly_over_the_window(case: Case) -> None:
    dice, days = random.Random(7).random, []
    for number in range(60):
        case.suggest(case.now + 10 * DAY, case.now + 20 * DAY + number * timedelta(seconds=1))
        look(case.hosting, case.now, dice)
        moment = row(case.renewal).next_attempt_at
        assert moment is not None
        days.append((moment - case.now) / DAY)
    assert 14 < sum(days) / len(days) < 16
    assert min(days) < 11
    assert max(days) > 19


@pytest.mark.parametrize("end", [-1 * DAY, timedelta(0)])
def test_a_window_that_is_moved_to_now_makes_the_renewal_due_at_once(case: Case, end: timedelta) -> None:
    """Fault 20."""
    case.suggest(case.now + 20 * DAY, case.now + 22 * DAY)
    look(case.hosting, case.now)
    case.suggest(case.now + end - DAY, case.now + end)
    look(case.hosting, case.now)
    found = row(case.renewal)
    assert (found.next_attempt_at, found.due_reason) == (case.now, DueReason.ARI)
    assert found.rung_until is not None


def test_a_window_inside_the_emergency_is_not_waited_for(case: Case) -> None:
    certificate = case.hosting.certificate
    case.front.windows[name_of(certificate)] = (certificate.not_after + DAY, certificate.not_after + 2 * DAY)
    look(case.hosting, case.now)
    found = row(case.renewal)
    assert found.next_attempt_at == emergency_at(certificate.not_before, certificate.not_after)
    assert found.due_reason is DueReason.EMERGENCY


@pytest.mark.parametrize(
    "reason", [DueReason.FORCED, DueReason.REVOKED, DueReason.KEY_COMPROMISE, DueReason.REPLACEMENT]
)
def test_what_somebody_decided_is_not_moved(case: Case, reason: DueReason) -> None:
    put(case.renewal, due_reason=reason, next_attempt_at=case.now)
    case.suggest(case.now + 10 * DAY, case.now + 12 * DAY)
    look(case.hosting, case.now)
    assert (row(case.renewal).next_attempt_at, row(case.renewal).due_reason) == (case.now, reason)


def test_a_renewal_that_has_begun_is_not_moved(case: Case) -> None:
    put(case.renewal, state=RenewalState.ORDERED, next_attempt_at=case.now)
    case.suggest(case.now + 10 * DAY, case.now + 12 * DAY)
    assert look(case.hosting, case.now) == case.now + LATEST_LOOK
    assert row(case.renewal).next_attempt_at == case.now


def test_a_renewal_that_begins_during_the_look_is_not_moved(case: Case) -> None:
    case.suggest(case.now + 10 * DAY, case.now + 12 * DAY)

    def begin() -> float:
        """The dice is thrown between the answer and the UPDATE."""
        values = {"state": RenewalState.STARTED, "next_attempt_at": case.now}
        db.session.query(Renewal).filter_by(id=case.renewal.id).update(values, synchronize_session=False)
        return 0.5

    look(case.hosting, case.now, begin)
    found = row(case.renewal)
    assert (found.state, found.next_attempt_at, found.window_start) == (RenewalState.STARTED, case.now, None)


def test_a_renewal_that_is_tried_again_soon_is_not_put_off(case: Case) -> None:
    soon = case.now + timedelta(minutes=5)
    put(case.renewal, attempts=3, next_attempt_at=soon)
    case.suggest(case.now + 10 * DAY, case.now + 12 * DAY)
    look(case.hosting, case.now)
    assert row(case.renewal).next_attempt_at == soon


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("0", SOONEST_LOOK),
        ("60", SOONEST_LOOK),
        ("3600", timedelta(hours=1)),
        ("604800", LATEST_LOOK),
        ("soon", USUAL_LOOK),
        (None, USUAL_LOOK),
    ],
)
def test_the_next_look_is_when_the_ca_says_within_reason(
    case: Case, said: str | None, expected: timedelta
) -> None:
    case.front.retry_after = said
    case.suggest(case.now + 10 * DAY, case.now + 12 * DAY)
    assert abs(look(case.hosting, case.now) - case.now - expected) < timedelta(seconds=10)


@pytest.mark.parametrize(
    "answer",
    [
        problem("serverInternal", 500),
        problem("malformed", 400),
        problem("rateLimited", 429, Retry_After="60"),
        Answer(200, b"<html>"),
        Answer(drops=True),
    ],
)
def test_a_look_that_fails_is_temporary_and_moves_nothing(case: Case, answer: Answer) -> None:
    before = case.renewal.next_attempt_at
    case.front.proxy.rule = lambda request: answer if request.path.startswith(PATH) else None
    with pytest.raises(AdapterError) as caught:
        look(case.hosting, case.now)
    assert not caught.value.permanent
    assert (row(case.renewal).next_attempt_at, row(case.renewal).due_reason) == (before, DueReason.LIFETIME)


def test_a_certificate_that_the_ca_does_not_know_is_asked_for_in_a_week(case: Case) -> None:
    before = case.renewal.next_attempt_at
    assert look(case.hosting, case.now) == case.now + UNKNOWN_LOOK
    assert row(case.renewal).next_attempt_at == before


def test_a_window_that_makes_no_sense_is_no_window(case: Case) -> None:
    before = case.renewal.next_attempt_at
    case.suggest(case.now + 12 * DAY, case.now + 10 * DAY)
    look(case.hosting, case.now)
    assert (row(case.renewal).next_attempt_at, row(case.renewal).window_start) == (before, None)


def test_an_upload_is_asked_for_at_the_ca_that_will_renew_it(
    factory: Factory, cast: Cast, front: AriFront, account: CaAccount, now: datetime
) -> None:
    upload = factory.certificate(cast.organisation, names=("up.example",), extensions=[issuer_key()])
    hosting = factory.hosting(upload, factory.product(ca_account=account))
    renewal = factory.renewal(hosting)
    front.windows[name_of(upload)] = (now + DAY / 100, now + DAY / 50)
    assert look(hosting, now) == now + USUAL_LOOK
    assert row(renewal).due_reason in {DueReason.ARI, DueReason.EMERGENCY}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("columns", "hours"),
    [({"paused_at": 0}, 6), ({"open_until": 3, "failures": 5}, 3), ({"limited_until": 48}, 12)],
)
def test_an_account_that_is_left_alone_is_not_asked(
    case: Case, account: CaAccount, columns: dict[str, int], hours: int
) -> None:
    for name, value in columns.items():
        setattr(account, name, value if name == "failures" else case.now + timedelta(hours=value))
    db.session.commit()
    assert look(case.hosting, case.now) == case.now + timedelta(hours=hours)
    assert case.front.asked == []


@pytest.mark.databases("sqlite")
def test_a_ca_without_windows_and_a_certificate_without_a_name_are_seldom_asked(
    factory: Factory, cast: Cast, front: AriFront, account: CaAccount, now: datetime
) -> None:
    nameless = factory.hosting(factory.certificate(cast.organisation), factory.product(ca_account=account))
    factory.renewal(nameless)
    private = factory.hosting(
        factory.certificate(cast.organisation, names=("p.example",), extensions=[issuer_key()])
    )
    factory.renewal(private)
    assert [look(one, now) - now for one in (nameless, private)] == [UNKNOWN_LOOK] * 2
    assert front.asked == []

"""The CA's window moves the renewal that waits, once, and never against anybody's decision."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.adapters.ca.ari import certificate_id
from portal.adapters.errors import AdapterError
from portal.domain.certificate import split_pem
from portal.domain.due import DueReason, emergency_at
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.services import renewal_windows
from portal.services.renewal_windows import (
    LATEST_LOOK,
    SOONEST_LOOK,
    UNKNOWN_LOOK,
    USUAL_LOOK,
    look,
    replaces_for,
)
from tests import pki
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


@pytest.mark.parametrize(("point", "expected"), [(0.0, 10.0), (0.5, 11.0), (0.999, 11.998)])
def test_the_renewal_falls_due_at_a_point_of_the_window(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime, point: float, expected: float
) -> None:
    front.windows[name_of(hosting.certificate)] = (now + 10 * DAY, now + 12 * DAY)
    front.explanation_url = "https://ca.example/why"
    assert look(hosting, now, lambda: point) == now + USUAL_LOOK
    found = row(renewal)
    assert found.next_attempt_at is not None
    assert abs(found.next_attempt_at - now - timedelta(days=expected)) < timedelta(minutes=1)
    assert (found.due_reason, found.explanation_url) == (DueReason.ARI, "https://ca.example/why")
    assert (found.window_start, found.window_end) == (now + 10 * DAY, now + 12 * DAY)


def test_a_point_is_drawn_once_for_a_window(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime
) -> None:
    front.windows[name_of(hosting.certificate)] = (now + 10 * DAY, now + 12 * DAY)
    look(hosting, now)
    first = row(renewal).next_attempt_at
    for hour in range(3):
        look(hosting, now + timedelta(hours=hour))
    assert row(renewal).next_attempt_at == first
    front.windows[name_of(hosting.certificate)] = (now + 20 * DAY, now + 22 * DAY)
    look(hosting, now)
    moved = row(renewal).next_attempt_at
    assert moved is not None
    assert now + 20 * DAY <= moved <= now + 22 * DAY


@pytest.mark.databases("sqlite")
def test_points_are_spread_evenly_over_the_window(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime
) -> None:
    dice, days = random.Random(7).random, []
    for number in range(60):
        front.windows[name_of(hosting.certificate)] = (
            now + 10 * DAY,
            now + 20 * DAY + number * timedelta(seconds=1),
        )
        look(hosting, now, dice)
        moment = row(renewal).next_attempt_at
        assert moment is not None
        days.append((moment - now) / DAY)
    assert 14 < sum(days) / len(days) < 16
    assert min(days) < 11
    assert max(days) > 19


@pytest.mark.parametrize("end", [-1 * DAY, timedelta(0)])
def test_a_window_that_is_moved_to_now_makes_the_renewal_due_at_once(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime, end: timedelta
) -> None:
    """Fault 20."""
    front.windows[name_of(hosting.certificate)] = (now + 20 * DAY, now + 22 * DAY)
    look(hosting, now)
    front.windows[name_of(hosting.certificate)] = (now + end - DAY, now + end)
    look(hosting, now)
    found = row(renewal)
    assert (found.next_attempt_at, found.due_reason) == (now, DueReason.ARI)
    assert found.rung_until is not None


def test_a_window_inside_the_emergency_is_not_waited_for(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime
) -> None:
    certificate = hosting.certificate
    front.windows[name_of(certificate)] = (certificate.not_after + DAY, certificate.not_after + 2 * DAY)
    look(hosting, now)
    found = row(renewal)
    assert found.next_attempt_at == emergency_at(certificate.not_before, certificate.not_after)
    assert found.due_reason is DueReason.EMERGENCY


@pytest.mark.parametrize(
    "reason", [DueReason.FORCED, DueReason.REVOKED, DueReason.KEY_COMPROMISE, DueReason.REPLACEMENT]
)
def test_what_somebody_decided_is_not_moved(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime, reason: DueReason
) -> None:
    put(renewal, due_reason=reason, next_attempt_at=now)
    front.windows[name_of(hosting.certificate)] = (now + 10 * DAY, now + 12 * DAY)
    look(hosting, now)
    assert (row(renewal).next_attempt_at, row(renewal).due_reason) == (now, reason)


def test_a_renewal_that_has_begun_is_not_moved(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime
) -> None:
    put(renewal, state=RenewalState.ORDERED, next_attempt_at=now)
    front.windows[name_of(hosting.certificate)] = (now + 10 * DAY, now + 12 * DAY)
    assert look(hosting, now) == now + LATEST_LOOK
    assert row(renewal).next_attempt_at == now


def test_a_renewal_that_begins_during_the_look_is_not_moved(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime
) -> None:
    front.windows[name_of(hosting.certificate)] = (now + 10 * DAY, now + 12 * DAY)

    def begin() -> float:
        """The dice is thrown between the answer and the UPDATE."""
        values = {"state": RenewalState.STARTED, "next_attempt_at": now}
        db.session.query(Renewal).filter_by(id=renewal.id).update(values, synchronize_session=False)
        return 0.5

    look(hosting, now, begin)
    found = row(renewal)
    assert (found.state, found.next_attempt_at, found.window_start) == (RenewalState.STARTED, now, None)


def test_a_renewal_that_is_tried_again_soon_is_not_put_off(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime
) -> None:
    soon = now + timedelta(minutes=5)
    put(renewal, attempts=3, next_attempt_at=soon)
    front.windows[name_of(hosting.certificate)] = (now + 10 * DAY, now + 12 * DAY)
    look(hosting, now)
    assert row(renewal).next_attempt_at == soon


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
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime, said: str | None, expected: timedelta
) -> None:
    front.retry_after = said
    front.windows[name_of(hosting.certificate)] = (now + 10 * DAY, now + 12 * DAY)
    assert abs(look(hosting, now) - now - expected) < timedelta(seconds=10)


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
def test_a_look_that_fails_is_temporary_and_moves_nothing(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime, answer: Answer
) -> None:
    before = renewal.next_attempt_at
    front.proxy.rule = lambda request: answer if request.path.startswith(PATH) else None
    with pytest.raises(AdapterError) as caught:
        look(hosting, now)
    assert not caught.value.permanent
    assert (row(renewal).next_attempt_at, row(renewal).due_reason) == (before, DueReason.LIFETIME)


def test_a_certificate_that_the_ca_does_not_know_is_asked_for_in_a_week(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime
) -> None:
    before = renewal.next_attempt_at
    assert look(hosting, now) == now + UNKNOWN_LOOK
    assert row(renewal).next_attempt_at == before


def test_a_window_that_makes_no_sense_is_no_window(
    front: AriFront, hosting: Hosting, renewal: Renewal, now: datetime
) -> None:
    before = renewal.next_attempt_at
    front.windows[name_of(hosting.certificate)] = (now + 12 * DAY, now + 10 * DAY)
    look(hosting, now)
    assert (row(renewal).next_attempt_at, row(renewal).window_start) == (before, None)


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
    front: AriFront,
    hosting: Hosting,
    renewal: Renewal,
    account: CaAccount,
    now: datetime,
    columns: dict[str, int],
    hours: int,
) -> None:
    for name, value in columns.items():
        setattr(account, name, value if name == "failures" else now + timedelta(hours=value))
    db.session.commit()
    assert look(hosting, now) == now + timedelta(hours=hours)
    assert front.asked == []


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


def test_only_what_this_account_issued_here_is_named_as_replaced(
    factory: Factory, cast: Cast, account: CaAccount, certificate: Certificate, renewal: Renewal
) -> None:
    """A foreign identifier inside the body would silence another owner's notices."""
    assert replaces_for(renewal, account) == name_of(certificate)
    assert replaces_for(renewal, factory.ca_account("other")) is None
    strangers = factory.certificate(cast.other_organisation, uploaded_by_another(certificate))
    theirs = factory.renewal(factory.hosting(strangers))
    assert replaces_for(theirs, account) is None
    strangers.ca_account_id = account.id
    db.session.commit()
    assert replaces_for(theirs, account) is None


def uploaded_by_another(certificate: Certificate) -> Any:
    """The same certificate again, as somebody else may upload it."""
    chain = split_pem(certificate.fullchain_pem)
    return pki.Made(chain[0], chain[1:], chain[-1], pki.key("ec-p256"))

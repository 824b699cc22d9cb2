"""An operator renews one certificate: in time, before its time, or because its key leaked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.renewal import RenewalState
from portal.domain.revocation import RevocationState
from portal.models.authority import Revocation
from portal.models.certificate import Source
from portal.services import renewing_one
from portal.services.acting import Actor


@pytest.fixture
def certificate(factory, cast):
    return factory.certificate(
        cast.organisation,
        source=Source.ISSUED,
        ca_account=factory.ca_account(),
        expires_in=timedelta(days=150),
    )


@pytest.fixture
def hosting(factory, certificate):
    return factory.hosting(certificate)


@pytest.fixture
def renew(certificate, now):
    return lambda is_forced=False: renewing_one.renew(certificate.id, "why", "cli", now, is_forced=is_forced)


def test_before_its_time_it_says_when_that_is(factory, hosting, renew, now):
    waiting = factory.renewal(hosting)
    answer = renew()
    assert (answer.was_started, answer.due_at) == (False, waiting.next_attempt_at)
    assert answer.renewal.due_reason is DueReason.LIFETIME


def test_forced_it_starts(factory, hosting, renew, now):
    factory.renewal(hosting)
    answer = renew(True)
    assert (answer.was_started, answer.due_at, answer.renewal.next_attempt_at) == (True, None, now)


@pytest.mark.parametrize(
    "columns",
    [
        {"due": timedelta(hours=23)},
        {"due": timedelta(days=9), "window_start": timedelta(hours=-1)},
    ],
    ids=["tomorrow", "inside the CA's window"],
)
def test_due_soon_it_starts(factory, hosting, renew, now, columns):
    factory.renewal(hosting, **{name: now + offset for name, offset in columns.items()})
    assert renew().was_started


def test_it_is_found_by_its_serial_number_or_its_name(factory, cast, certificate, hosting, now):
    factory.renewal(hosting)
    serial = ":".join(certificate.serial[at : at + 2] for at in range(0, len(certificate.serial), 2)).upper()
    for which in (certificate.name, certificate.name.upper(), serial, f"00{certificate.serial}"):
        assert renewing_one.renew(which, "", "cli", now, is_forced=False).certificate.id == certificate.id
    factory.certificate(cast.other_organisation, names=[certificate.name], key_number=3)
    with pytest.raises(DomainError, match="certificate_ambiguous"):
        renewing_one.renew(certificate.name, "", "cli", now, is_forced=False)
    for which in ("hop.example.com", "%", " ", ""):
        with pytest.raises(DomainError, match="certificate_not_found"):
            renewing_one.renew(which, "", "cli", now, is_forced=False)


def test_under_way_it_is_left_to_itself(factory, hosting, renew, now):
    factory.renewal(hosting, state=RenewalState.ORDERED)
    assert not renew(True).was_started
    assert renew(True).due_at is None


def test_one_that_was_cancelled_needs_force(factory, hosting, renew):
    factory.renewal(hosting, state=RenewalState.CANCELLED, next_attempt_at=None)
    with pytest.raises(DomainError, match="no_renewal_waits"):
        renew()
    assert renew(True).was_started


def test_a_leaked_key(factory, cast, certificate, hosting, session, now):
    factory.renewal(hosting)
    answer = renewing_one.replace_compromised(certificate.id, "pasted in a chat", "cli", now)
    assert (answer.renewal.due_reason, answer.is_revoked_after) == (DueReason.KEY_COMPROMISE, True)
    assert session.scalars(select(Revocation)).one().state is RevocationState.AWAITING
    with pytest.raises(DomainError, match="certificate_not_found"):
        renewing_one.renew("nothing", "", "cli", now, is_forced=True)


def test_a_leaked_key_of_one_bought_elsewhere_is_replaced_and_revoked_there(factory, cast, session, now):
    elsewhere = factory.certificate(cast.organisation, names=["b.example.com"])
    factory.hosting(elsewhere)
    answer = renewing_one.replace_compromised(elsewhere.id, "", "cli", now)
    assert (answer.was_started, answer.is_revoked_after) == (True, False)
    assert session.scalars(select(Revocation)).all() == []


def test_a_customer_may_have_back_what_they_cancelled(
    factory, cast, certificate, hosting, actor, session, now
):
    taken_back = factory.renewal(hosting, state=RenewalState.CANCELLED, next_attempt_at=None)
    renewal = renewing_one.schedule_again(certificate.id, actor, now)
    assert (renewal.state, renewal.sequence) == (RenewalState.WAITING, taken_back.sequence + 1)
    assert renewal.next_attempt_at > now + timedelta(days=90)
    with pytest.raises(DomainError, match="renewal_scheduled"):
        renewing_one.schedule_again(certificate.id, actor, now)
    with pytest.raises(DomainError, match="certificate_not_found"):
        renewing_one.schedule_again(certificate.id, Actor(cast.charlie.id, cast.other_organisation.id), now)

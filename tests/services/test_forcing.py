"""Renewals that somebody decided on: moved up, made anew, reopened; never doubled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.renewal import KeySource, RenewalState
from portal.domain.revocation import RevocationReason, RevocationState
from portal.extensions import db
from portal.models.authority import Revocation
from portal.models.history import AuditEntry, HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.services.forcing import force


@pytest.fixture
def certificate(factory, cast):
    return factory.certificate(cast.organisation, expires_in=timedelta(days=150))


@pytest.fixture
def hosting(factory, certificate):
    return factory.hosting(certificate)


def refusal(certificate, now) -> DomainError:
    with pytest.raises(DomainError) as caught:
        force(certificate.id, DueReason.FORCED, "cli", now)
    return caught.value


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(Renewal)) or 0


def test_a_waiting_renewal_is_moved_up(factory, certificate, hosting, session, now):
    waiting = factory.renewal(hosting)
    forced = force(certificate.id, DueReason.FORCED, "cli", now, "the CA asked for it")
    session.commit()
    assert forced.id == waiting.id
    assert (forced.state, forced.due_reason, forced.next_attempt_at) == (
        RenewalState.WAITING,
        DueReason.FORCED,
        now,
    )
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "renewal.force")).one()
    assert entry.params == {"reason": "forced", "note": "the CA asked for it"}
    assert entry.organisation_id == certificate.organisation_id


def test_one_that_has_begun_goes_on(factory, certificate, hosting, session, now):
    begun = factory.renewal(hosting, state=RenewalState.VALIDATING, due=now + timedelta(hours=12))
    forced = force(certificate.id, DueReason.REPLACEMENT, "cli", now)
    session.commit()
    assert (forced.id, forced.state, forced.next_attempt_at) == (begun.id, RenewalState.VALIDATING, now)
    assert forced.due_reason is DueReason.LIFETIME
    assert count() == 1


def test_one_that_was_taken_back_is_made_anew(factory, certificate, hosting, session, now):
    factory.renewal(hosting, state=RenewalState.CANCELLED, next_attempt_at=None)
    forced = force(certificate.id, DueReason.FORCED, "cli", now)
    session.commit()
    assert (forced.sequence, forced.next_attempt_at) == (2, now)


def test_repeating_it_changes_nothing(factory, certificate, hosting, session, now):
    factory.renewal(hosting)
    ids = {force(certificate.id, DueReason.FORCED, "cli", now).id for _ in range(3)}
    session.commit()
    assert len(ids) == count() == 1


def test_a_completed_hosting_is_reopened_inside_its_term(factory, certificate, session, now):
    hosting = factory.hosting(certificate, state=HostingState.COMPLETED)
    force(certificate.id, DueReason.REVOKED, "worker", now)
    force(certificate.id, DueReason.REVOKED, "worker", now)
    session.commit()
    assert session.get_one(Hosting, hosting.id).state is HostingState.HOSTED
    history = select(HistoryEntry.event, HistoryEntry.reason).where(HistoryEntry.subject_id == hosting.id)
    assert session.execute(history).all() == [("reopen", "revoked")]
    assert count() == 1


def test_after_the_term_nothing_is_owed(factory, certificate, now):
    ended = now - timedelta(days=1)
    factory.hosting(certificate, state=HostingState.COMPLETED, coverage_ends_at=ended)
    error = refusal(certificate, now)
    assert (error.code, error.params) == ("term_over", {"ended_on": ended.date().isoformat()})


def test_what_is_not_hosted_or_was_replaced_or_is_unknown_is_refused(certificate, session, now):
    assert refusal(certificate, now).code == "certificate_not_hosted"
    certificate.replaced_at = now
    session.commit()
    assert refusal(certificate, now).code == "certificate_replaced"
    with pytest.raises(DomainError, match="certificate_not_found"):
        force("nothing", DueReason.FORCED, "cli", now)


def test_with_a_reason_to_revoke_the_old_one_is_revoked_afterwards(
    factory, certificate, hosting, session, now
):
    waiting = factory.renewal(hosting)
    for _ in range(2):
        force(
            certificate.id,
            DueReason.KEY_COMPROMISE,
            "cli",
            now,
            revoke_reason=RevocationReason.KEY_COMPROMISE,
        )
    session.commit()
    revocation = session.scalars(select(Revocation)).one()
    assert (revocation.certificate_id, revocation.renewal_id) == (certificate.id, waiting.id)
    assert (revocation.state, revocation.reason) == (RevocationState.AWAITING, 1)


def test_a_leaked_key_is_not_asked_for_again(factory, certificate, hosting, session, now):
    hosting.key_source = KeySource.REUSE
    session.commit()
    factory.renewal(hosting)
    force(certificate.id, DueReason.KEY_COMPROMISE, "cli", now)
    session.commit()
    assert session.get_one(Hosting, hosting.id).key_source is KeySource.NEW

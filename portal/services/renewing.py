"""Renewals: scheduling the next one, starting one early, trying a stopped one again, taking one back."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from portal.domain import renewal as rules
from portal.domain.due import DueReason, Life, alarm_at, due
from portal.domain.errors import DomainError
from portal.domain.renewal import RenewalEvent, RenewalState
from portal.domain.states import advance
from portal.domain.term import is_renewal_owed
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.models.types import new_id
from portal.queue import JobName, enqueue_after_commit
from portal.services import alarms
from portal.services.acting import note_change
from portal.services.auditing import audit
from portal.services.operations import settings


def jitter_of(certificate_id: str) -> float:
    """A certificate's own fraction in [0, 1): fixed, spread evenly, without asking the clock or a dice."""
    return int(certificate_id[:8], 16) / 2**32


def schedule_next(hosting: Hosting, predecessor: Certificate, now: datetime) -> Renewal:
    """Add the renewal that `hosting` owes after `predecessor` (未激活), within the caller's transaction.

    It falls due by the lifetime rule; inside the lead time that is at once. (hosting, sequence) is unique, so a second
    caller fails instead of ordering twice.
    """
    counted = select(func.coalesce(func.max(Renewal.sequence), 0)).where(Renewal.hosting_id == hosting.id)
    by_rule = due(Life(predecessor.not_before, predecessor.not_after, jitter_of(predecessor.id)))
    renewal = Renewal(
        id=new_id(),
        organisation_id=hosting.organisation_id,
        hosting_id=hosting.id,
        sequence=(db.session.scalar(counted) or 0) + 1,
        predecessor_id=predecessor.id,
        state=RenewalState.WAITING,
        names=list(predecessor.names),
        key_type=predecessor.key_type,
        next_attempt_at=max(by_rule.at, now),
        due_reason=by_rule.reason,
        alarm_at=alarm_at(predecessor.not_before, predecessor.not_after, 0),
        created_at=now,
    )
    db.session.add(renewal)
    if renewal.next_attempt_at == now:
        # The row is about to be rung for: a tick before the job runs need not ring again.
        renewal.rung_until = now + timedelta(seconds=settings().ring_again_seconds)
        enqueue_after_commit(db.session(), JobName.ADVANCE_RENEWALS, [renewal.id])
    return renewal


def owes_renewal(hosting: Hosting, certificate: Certificate) -> bool:
    """Whether the paid term owes a certificate after this one."""
    return is_renewal_owed(certificate.not_after, hosting.coverage_ends_at)


def start_now(
    renewal_id: str, actor: str, reason: str, now: datetime, organisation_id: str | None = None
) -> None:
    """Make a renewal that waits, or one that was stopped, due at once.

    Raises DomainError: renewal_not_found, renewal_finished. The act is audited with its reason.
    """
    renewal = get_renewal(renewal_id, organisation_id)
    if renewal.state in rules.FINAL:
        raise DomainError("renewal_finished")
    free = update(Renewal).where(Renewal.id == renewal.id, Renewal.next_attempt_at.is_not(None))
    decided = {"due_reason": DueReason.FORCED} if renewal.state is RenewalState.WAITING else {}
    db.session.execute(free.values(next_attempt_at=now, rung_until=None, **decided))
    _audit(renewal, actor, "renewal.start_now", reason, now)
    enqueue_after_commit(db.session(), JobName.ADVANCE_RENEWALS, [renewal.id])
    db.session.commit()


def cancel(renewal_id: str, actor: str, now: datetime, organisation_id: str | None = None) -> None:
    """Take back a renewal that has not begun. Raises DomainError: renewal_not_found, transition_refused."""
    renewal = get_renewal(renewal_id, organisation_id)
    to_state = advance(rules.TRANSITIONS, renewal.state, RenewalEvent.CANCEL)
    taken = update(Renewal).where(Renewal.id == renewal.id, Renewal.state == renewal.state)
    ended = {"next_attempt_at": None, "finished_at": now}
    result = db.session.execute(taken.values(state=to_state, **ended))
    if result.rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        raise DomainError("transition_refused", state=renewal.state.value, event="cancel")
    note_change("renewals", renewal.id, (renewal.state, RenewalEvent.CANCEL, to_state), actor, now)
    alarms.clear_for_renewal(renewal, now)
    _audit(renewal, actor, "renewal.cancel", "", now)
    db.session.commit()


def get_renewal(renewal_id: str, organisation_id: str | None = None) -> Renewal:
    """A renewal, of this organisation where one is named. Raises DomainError("renewal_not_found")."""
    query = select(Renewal).where(Renewal.id == renewal_id)
    if organisation_id is not None:
        query = query.where(Renewal.organisation_id == organisation_id)
    renewal = db.session.scalar(query)
    if renewal is None:
        raise DomainError("renewal_not_found")
    return renewal


def _audit(renewal: Renewal, actor: str, action: str, reason: str, now: datetime) -> None:
    audit(
        db.session,
        action,
        ("renewals", renewal.id),
        actor,
        now,
        organisation_id=renewal.organisation_id,
        params={"reason": reason} if reason else None,
    )

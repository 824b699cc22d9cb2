"""Having a certificate renewed now, whatever the calendar says: asked for, revoked, key leaked, CA in trouble."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import case, func, or_, select, update

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingEvent, HostingState
from portal.domain.renewal import FINAL, RenewalState
from portal.domain.revocation import RevocationReason
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.queue import JobName, enqueue_after_commit
from portal.services import activating, check_rows, compromised_keys, renewing, revocation_steps
from portal.services.auditing import audit
from portal.services.hosting import ACTIVE


def force(
    certificate_id: str,
    reason: DueReason,
    actor: str,
    now: datetime,
    note: str = "",
    revoke_reason: RevocationReason | None = None,
) -> Renewal:
    """Make the renewal of a hosted certificate due at once, within the caller's transaction; safe to repeat.

    1. A renewal that waits is moved up. One that has begun goes on: no second one is made.
    2. A hosting that has issued all it owed is reopened, inside its paid term, at no charge.
    3. For KEY_COMPROMISE no key of before is used again; with `revoke_reason` the old certificate is revoked once the
       new one is live.
    CA limits and pauses still hold. Raises DomainError: certificate_not_found, certificate_replaced,
    certificate_not_hosted, term_over, renewal_under_way (with the leaked key).
    """
    certificate = db.session.get(Certificate, certificate_id)
    if certificate is None:
        raise DomainError("certificate_not_found")
    if certificate.replaced_at is not None:
        raise DomainError("certificate_replaced")
    hosting = find_hosting(certificate_id, now)
    if hosting is None:
        raise _not_hosted(certificate_id)
    renewal = _bring_forward(hosting, certificate, reason, actor, now)
    if reason is DueReason.KEY_COMPROMISE:
        compromised_keys.forbid_reuse(hosting, renewal, certificate)
    if revoke_reason is not None:
        revocation_steps.await_replacement(renewal, certificate, revoke_reason, actor, now)
    _audit(renewal, actor, reason, note, now)
    enqueue_after_commit(db.session(), JobName.ADVANCE_RENEWALS, [renewal.id])
    return renewal


def find_hosting(certificate_id: str, now: datetime) -> Hosting | None:
    """The hosting that pays for a replacement of this certificate: an active one, or one inside its paid term."""
    is_paid = or_(
        Hosting.state.in_(ACTIVE),
        (Hosting.state == HostingState.COMPLETED) & (Hosting.coverage_ends_at > now),
    )
    active_first = case((Hosting.state.in_(ACTIVE), 0), else_=1)
    query = select(Hosting).where(Hosting.certificate_id == certificate_id, is_paid)
    return db.session.scalar(query.order_by(active_first, Hosting.created_at.desc()).limit(1))


def _not_hosted(certificate_id: str) -> DomainError:
    ended = select(func.max(Hosting.coverage_ends_at)).where(
        Hosting.certificate_id == certificate_id, Hosting.state == HostingState.COMPLETED
    )
    ended_at = db.session.scalar(ended)
    if ended_at is None:
        return DomainError("certificate_not_hosted")
    return DomainError("term_over", ended_on=ended_at.date().isoformat())


def find_renewal(hosting: Hosting) -> Renewal | None:
    """The renewal of a hosting's certificate that waits or is under way, as the database has it now."""
    query = select(Renewal).where(
        Renewal.hosting_id == hosting.id,
        Renewal.predecessor_id == hosting.certificate_id,
        Renewal.state.not_in(FINAL),
    )
    newest = query.order_by(Renewal.sequence.desc()).limit(1)
    return db.session.scalar(newest.execution_options(populate_existing=True))


def _bring_forward(
    hosting: Hosting, certificate: Certificate, reason: DueReason, actor: str, now: datetime
) -> Renewal:
    renewal = find_renewal(hosting)
    if renewal is None:
        if hosting.state is HostingState.COMPLETED:
            activating.change(hosting, HostingEvent.REOPEN, actor, reason.value, now)
            check_rows.begin(hosting, now)
        renewal = renewing.schedule_next(hosting, certificate, now)
        renewal.next_attempt_at, renewal.due_reason = now, reason
        db.session.flush()
        return renewal
    waiting = update(Renewal).where(Renewal.id == renewal.id, Renewal.state == RenewalState.WAITING)
    decided = {"next_attempt_at": now, "due_reason": reason, "rung_until": None}
    moved = db.session.execute(waiting.values(**decided))
    if moved.rowcount == 0:  # type: ignore[attr-defined]
        asleep = update(Renewal).where(Renewal.id == renewal.id, Renewal.next_attempt_at > now)
        db.session.execute(asleep.values(next_attempt_at=now, rung_until=None))
    db.session.refresh(renewal)
    return renewal


def _audit(renewal: Renewal, actor: str, reason: DueReason, note: str, now: datetime) -> None:
    audit(
        db.session,
        "renewal.force",
        ("renewals", renewal.id),
        actor,
        now,
        organisation_id=renewal.organisation_id,
        params={"reason": reason.value, **({"note": note[:255]} if note else {})},
    )

"""Revoking certificates that were issued here, when their owners ask for it (rule 7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.renewal import FINAL, KeySource, RenewalState
from portal.domain.revocation import RevocationReason, RevocationState
from portal.extensions import db
from portal.models.authority import Revocation
from portal.models.certificate import Certificate, Source
from portal.models.hosting import Renewal
from portal.queue import JobName, enqueue_after_commit
from portal.services import forcing
from portal.services.acting import Actor, audit
from portal.services.certificates import get_certificate
from portal.services.revocation_steps import KIND, await_replacement, begin

__all__ = ["KIND", "Outlook", "await_replacement", "outlook", "proceed", "replace", "revoke"]

#: The successor is there in these: what is revoked then is a certificate that has been replaced.
_HAS_SUCCESSOR = (RenewalState.ISSUED, RenewalState.DEPLOYING)


@dataclass(frozen=True)
class Outlook:
    """What revoking a certificate would mean now.

    `refusal` says why it cannot be done at all; `ordinary` why it can be done for a leaked key alone. `renewal` is the
    one that waits or is under way; `is_replaced_first` where a leaked key brings a new certificate first, and
    `is_customers_key` where that needs a new CSR of theirs.
    """

    certificate: Certificate
    refusal: DomainError | None
    ordinary: DomainError | None
    renewal: Renewal | None
    is_replaced_first: bool
    is_customers_key: bool = False


def outlook(certificate_id: str, organisation_id: str, now: datetime) -> Outlook:
    """Look, and change nothing. Raises DomainError("certificate_not_found")."""
    certificate = get_certificate(certificate_id, organisation_id)
    renewal = _renewal_of(certificate)
    hosting = forcing.find_hosting(certificate.id, now) if certificate.replaced_at is None else None
    return Outlook(
        certificate,
        _refusal(certificate, now),
        _held_by(renewal),
        renewal,
        is_replaced_first=hosting is not None,
        is_customers_key=hosting is not None and hosting.key_source is KeySource.CSR,
    )


def revoke(certificate_id: str, reason: RevocationReason, actor: Actor, now: datetime) -> Revocation:
    """Have a certificate of the actor's organisation revoked.

    For a leaked key a hosted certificate is replaced first: a new key, live, then the old one is revoked; what was paid
    for stays paid. Any other reason has to wait until a renewal that is not activated is cancelled.
    Raises DomainError: certificate_not_found, revoke_elsewhere, certificate_revoked, certificate_expired,
    revocation_under_way, cancel_renewal_first, revoke_after_renewal, and those of forcing.
    """
    seen = outlook(certificate_id, actor.organisation_id, now)
    is_leaked = reason is RevocationReason.KEY_COMPROMISE
    if (refusal := seen.refusal or (None if is_leaked else seen.ordinary)) is not None:
        raise refusal
    certificate = seen.certificate
    audit(actor, "certificate.revoke", "certificates", certificate.id, now, reason=reason.name.lower())
    if is_leaked and seen.is_replaced_first:
        forcing.force(certificate.id, DueReason.KEY_COMPROMISE, actor.id, now, revoke_reason=reason)
    else:
        is_followed = seen.renewal is not None and seen.renewal.state in _HAS_SUCCESSOR
        begin(certificate, reason, actor.id, now, seen.renewal if is_followed else None)
    db.session.commit()
    return find_revocation(certificate.id) or begin(certificate, reason, actor.id, now)


def replace(certificate_id: str, actor: Actor, now: datetime) -> Renewal:
    """A new certificate with a new key at once, for one that has to be revoked where it was bought.

    Raises DomainError: certificate_not_found, and those of forcing.
    """
    certificate = get_certificate(certificate_id, actor.organisation_id)
    renewal = forcing.force(certificate.id, DueReason.KEY_COMPROMISE, actor.id, now)
    audit(actor, "certificate.replace", "certificates", certificate.id, now, reason="key_compromise")
    db.session.commit()
    return renewal


def find_revocation(certificate_id: str) -> Revocation | None:
    """The revocation of a certificate, if one was asked for."""
    return db.session.scalar(select(Revocation).where(Revocation.certificate_id == certificate_id))


def proceed(certificate_id: str, actor: Actor, now: datetime) -> None:
    """Do not wait for the replacement any longer: it is installed, or the key matters more.

    Raises DomainError: certificate_not_found, nothing_to_try (nothing waits).
    """
    certificate = get_certificate(certificate_id, actor.organisation_id)
    waiting = update(Revocation).where(
        Revocation.certificate_id == certificate.id, Revocation.state == RevocationState.AWAITING
    )
    values = {"renewal_id": None, "next_attempt_at": now, "rung_until": None}
    if db.session.execute(waiting.values(**values)).rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        raise DomainError("nothing_to_try")
    audit(actor, "certificate.revoke_now", "certificates", certificate.id, now)
    revocation = find_revocation(certificate.id)
    enqueue_after_commit(db.session(), JobName.ADVANCE_REVOCATIONS, [revocation.id] if revocation else [])
    db.session.commit()


def _refusal(certificate: Certificate, now: datetime) -> DomainError | None:
    """Why nobody can revoke it here. Whoever uploads a copy of another's certificate gains nothing by it."""
    if certificate.source is Source.UPLOADED or certificate.ca_account_id is None:
        return DomainError("revoke_elsewhere")
    if certificate.revoked_at is not None:
        return DomainError("certificate_revoked")
    if certificate.not_after <= now:
        return DomainError("certificate_expired", on=certificate.not_after.date().isoformat())
    return DomainError("revocation_under_way") if find_revocation(certificate.id) else None


def _held_by(renewal: Renewal | None) -> DomainError | None:
    if renewal is None or renewal.state in _HAS_SUCCESSOR:
        return None
    is_waiting = renewal.state is RenewalState.WAITING
    return DomainError("cancel_renewal_first" if is_waiting else "revoke_after_renewal")


def _renewal_of(certificate: Certificate) -> Renewal | None:
    query = select(Renewal).where(Renewal.predecessor_id == certificate.id, Renewal.state.not_in(FINAL))
    return db.session.scalar(query.order_by(Renewal.created_at.desc()).limit(1))

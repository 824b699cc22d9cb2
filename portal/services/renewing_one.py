"""An operator renews one certificate now: because it is due, because they say so, or because its key leaked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.renewal import RenewalState, lead_time
from portal.domain.revocation import RevocationReason
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Renewal
from portal.services import forcing

#: A renewal that falls due within this time may as well start now.
SOON = timedelta(days=1)


@dataclass(frozen=True)
class Answer:
    """`was_started` where this call made it due; else it is under way already, or falls due at `due_at`."""

    certificate: Certificate
    renewal: Renewal
    was_started: bool

    @property
    def due_at(self) -> datetime | None:
        """Set where it is not due yet."""
        is_waiting = self.renewal.state is RenewalState.WAITING
        return self.renewal.next_attempt_at if is_waiting and not self.was_started else None


def renew(certificate_id: str, note: str, actor: str, now: datetime, *, is_forced: bool) -> Answer:
    """Renew a certificate if it is due soon, or inside its window, or if `is_forced`.

    Raises DomainError: certificate_not_found, certificate_replaced, and those of forcing.
    """
    certificate = _get(certificate_id)
    hosting = forcing.find_hosting(certificate.id, now)
    known = forcing.find_renewal(hosting) if hosting else None
    is_waiting = known is None or known.state is RenewalState.WAITING
    if known is not None and (not is_waiting or not (is_forced or _is_due_soon(known, certificate, now))):
        return Answer(certificate, known, was_started=False)
    if known is None and not is_forced:
        raise DomainError("no_renewal_waits")
    renewal = forcing.force(certificate.id, DueReason.FORCED, actor, now, note)
    db.session.commit()
    return Answer(certificate, renewal, was_started=True)


def replace_compromised(certificate_id: str, note: str, actor: str, now: datetime) -> Answer:
    """Replace a hosted certificate whose key leaked, with a new key; once that is live, have the old one revoked.

    Raises DomainError as `renew` does, and revoke_elsewhere where no account here issued it: it is replaced by
    `renew`, and revoked where it was bought.
    """
    certificate = _get(certificate_id)
    if certificate.ca_account_id is None:
        raise DomainError("revoke_elsewhere")
    revoked_for = RevocationReason.KEY_COMPROMISE
    renewal = forcing.force(
        certificate.id, DueReason.KEY_COMPROMISE, actor, now, note, revoke_reason=revoked_for
    )
    db.session.commit()
    return Answer(certificate, renewal, was_started=True)


def _is_due_soon(renewal: Renewal, certificate: Certificate, now: datetime) -> bool:
    if renewal.next_attempt_at is not None and renewal.next_attempt_at <= now + SOON:
        return True
    if renewal.window_start is not None:
        return now >= renewal.window_start
    return now >= certificate.not_after - lead_time(certificate.not_before, certificate.not_after)


def _get(certificate_id: str) -> Certificate:
    certificate = db.session.get(Certificate, certificate_id)
    if certificate is None:
        raise DomainError("certificate_not_found")
    return certificate

"""An operator renews one certificate now: because it is due, because they say so, or because its key leaked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.renewal import RenewalState, lead_time
from portal.domain.revocation import RevocationReason
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Renewal
from portal.services import forcing, renewing
from portal.services.acting import Actor, audit
from portal.services.certificates import get_certificate

#: A renewal that falls due within this time may as well start now.
SOON = timedelta(days=1)

#: Certificates looked through for a name.
MOST_LOOKED_AT = 100


@dataclass(frozen=True)
class Answer:
    """`was_started` where this call made it due; else it is under way already, or falls due at `due_at`.

    `is_revoked_after` where the old certificate is revoked once the new one is live.
    """

    certificate: Certificate
    renewal: Renewal
    was_started: bool
    is_revoked_after: bool = False

    @property
    def due_at(self) -> datetime | None:
        """Set where it is not due yet."""
        is_waiting = self.renewal.state is RenewalState.WAITING
        return self.renewal.next_attempt_at if is_waiting and not self.was_started else None


def renew(certificate_id: str, note: str, actor: str, now: datetime, *, is_forced: bool) -> Answer:
    """Renew a certificate (by id, serial number or name) if it is due soon, or inside its window, or if `is_forced`.

    Raises DomainError: certificate_not_found, certificate_ambiguous, certificate_replaced, and those of forcing.
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

    One that was bought elsewhere is replaced, and has to be revoked there. Raises DomainError as `renew` does.
    """
    certificate = _get(certificate_id)
    is_ours = certificate.ca_account_id is not None
    revoked_for = RevocationReason.KEY_COMPROMISE if is_ours else None
    renewal = forcing.force(
        certificate.id, DueReason.KEY_COMPROMISE, actor, now, note, revoke_reason=revoked_for
    )
    db.session.commit()
    return Answer(certificate, renewal, was_started=True, is_revoked_after=is_ours)


def schedule_again(certificate_id: str, actor: Actor, now: datetime) -> Renewal:
    """The customer wants the renewal after all that they took back: it waits again, as the rule says.

    Raises DomainError: certificate_not_found, certificate_not_hosted, renewal_scheduled.
    """
    certificate = get_certificate(certificate_id, actor.organisation_id)
    hosting = forcing.find_hosting(certificate.id, now)
    if hosting is None or hosting.state is not HostingState.HOSTED or certificate.replaced_at is not None:
        raise DomainError("certificate_not_hosted")
    if forcing.find_renewal(hosting) is not None:
        raise DomainError("renewal_scheduled")
    renewal = renewing.schedule_next(hosting, certificate, now)
    audit(actor, "renewal.schedule_again", "renewals", renewal.id, now)
    db.session.commit()
    return renewal


def _is_due_soon(renewal: Renewal, certificate: Certificate, now: datetime) -> bool:
    if renewal.next_attempt_at is not None and renewal.next_attempt_at <= now + SOON:
        return True
    if renewal.window_start is not None:
        return now >= renewal.window_start
    return now >= certificate.not_after - lead_time(certificate.not_before, certificate.not_after)


def _get(which: str) -> Certificate:
    """A certificate by its id; or the one in use with that serial number or that name."""
    if (by_id := db.session.get(Certificate, which)) is not None:
        return by_id
    text = which.strip().lower()
    serial = text.replace(":", "").replace(" ", "").lstrip("0")
    fits = or_(Certificate.serial == serial, Certificate.names_text.contains(text, autoescape=True))
    query = select(Certificate).where(Certificate.replaced_at.is_(None), fits).limit(MOST_LOOKED_AT)
    found = [one for one in db.session.scalars(query) if one.serial == serial or text in one.names]
    if len(found) > 1:
        raise DomainError("certificate_ambiguous", ids=", ".join(one.id for one in found[:5]))
    if not text or not found:
        raise DomainError("certificate_not_found")
    return found[0]

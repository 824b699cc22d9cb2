"""What is done about certificates of ours that are found on a revocation list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy import select

from portal.domain.alarms import AlarmKind
from portal.domain.certificate import ODD_CERTIFICATE, split_pem, to_pem
from portal.domain.crl import HOLD, REMOVE
from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.certificate import Certificate
from portal.services import alarms, forcing
from portal.services.operations import WORKER_ACTOR
from portal.services.revocation_steps import mark_revoked, tell_revoked

#: Serials looked for in one query.
AT_ONCE = 500


@dataclass(frozen=True)
class Line:
    """One line of a list. `serial` is lower-case hex."""

    serial: str
    reason: int
    at: datetime


@dataclass(frozen=True)
class Finding:
    """A certificate of ours and what its list says of it."""

    certificate: Certificate
    line: Line

    @property
    def is_hold(self) -> bool:
        """On hold is not for ever: it may be taken off the list again."""
        return self.line.reason == HOLD


def find(url: str, lines: Iterable[Line], now: datetime) -> list[Finding]:
    """Certificates of ours that name this list and stand on it, without those that are known to be revoked."""
    found: list[Finding] = []
    chunk: dict[str, Line] = {}
    for line in lines:
        if line.reason != REMOVE:
            chunk[line.serial] = line
        if len(chunk) == AT_ONCE:
            found += _look_up(url, chunk, now)
            chunk = {}
    return found + _look_up(url, chunk, now)


def _look_up(url: str, chunk: dict[str, Line], now: datetime) -> list[Finding]:
    query = select(Certificate).where(
        Certificate.crl_url == url,
        Certificate.serial.in_(chunk),
        Certificate.revoked_at.is_(None),
        Certificate.not_after > now,
    )
    return [Finding(one, chunk[one.serial]) for one in db.session.scalars(query)] if chunk else []


def issuer_of(certificate: Certificate) -> str | None:
    """The certificate that a certificate's list must be signed by, as PEM; None where its chain does not tell."""
    try:
        chain = split_pem(certificate.fullchain_pem)
        if len(chain) > 1:
            return to_pem(chain[1:2])
        return to_pem(chain) if _signs_itself(chain[0]) else None
    except (DomainError, *ODD_CERTIFICATE):
        return None


def _signs_itself(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def act_on(finding: Finding, now: datetime) -> None:
    """Note it, tell the contacts, raise the alarm and renew a hosted certificate at once: one transaction.

    Safe to repeat. On hold counts as trouble now, without the certificate being called revoked.
    """
    certificate, line = finding.certificate, finding.line
    is_new = finding.is_hold or mark_revoked(certificate, line.at, f"crl_{line.reason}", WORKER_ACTOR, now)
    if is_new and certificate.replaced_at is None:
        is_hosted = forcing.find_hosting(certificate.id, now) is not None
        tell_revoked(certificate, line.reason, now, was_asked_for=False, is_replaced=is_hosted)
        if is_hosted:
            _replace(certificate, line, now)
    db.session.commit()


def _replace(certificate: Certificate, line: Line, now: datetime) -> None:
    alarms.raise_alarm(
        AlarmKind.CERTIFICATE_REVOKED,
        now,
        subject_type=Certificate.__tablename__,
        subject_id=certificate.id,
        params={"name": certificate.name, "serial": certificate.serial, "reason": line.reason},
    )
    forcing.force(certificate.id, DueReason.REVOKED, WORKER_ACTOR, now)


def settle(url: str, on_hold: Sequence[str], now: datetime) -> None:
    """Clear the alarms of this list's certificates that were replaced, ran out, or came off hold."""
    query = (
        select(Certificate)
        .join(Alarm, Alarm.subject_id == Certificate.id)
        .where(
            Certificate.crl_url == url,
            Alarm.kind == AlarmKind.CERTIFICATE_REVOKED,
            Alarm.subject_type == Certificate.__tablename__,
            Alarm.cleared_at.is_(None),
        )
    )
    for certificate in db.session.scalars(query).all():
        is_over = certificate.replaced_at is not None or certificate.not_after <= now
        if is_over or (certificate.revoked_at is None and certificate.id not in on_hold):
            about = {"subject_type": Certificate.__tablename__, "subject_id": certificate.id}
            alarms.clear_alarm(AlarmKind.CERTIFICATE_REVOKED, now, **about)
    db.session.commit()

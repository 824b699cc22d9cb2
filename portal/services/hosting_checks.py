"""What is looked at again and again while a hosting lives: the CA's suggested window, and whether its names could be
proved today. A broken delegation is so known months ahead (rule 15).

A look that could be made is never a failure, whatever it found: the row waits for the next one. What it found goes to
the customer's contacts, once a week, and to the operators as an alarm, until it is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.adapters.errors import AdapterError
from portal.domain.alarms import AlarmKind
from portal.domain.checks import TRANSITIONS, WEEK, CheckEvent, CheckState, CheckSubject, next_look, week_of
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.domain.validation import NameReport, Severity, ValidationMethod
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Hosting, Renewal
from portal.models.validation import DomainValidation, HostingCheck
from portal.queue import JobName
from portal.services import alarms, domain_validations, noticing, preflight, renewal_windows
from portal.services.check_rows import begin, end, find, look_again, look_now
from portal.services.hosting import ACTIVE
from portal.services.operations import Advance, Kind, Wait
from portal.services.ringing import wake

__all__ = ["KIND", "ValidationStatus", "begin", "end", "look_again", "look_now", "validation_status"]

HOSTINGS, CA_ACCOUNTS = "hostings", "ca_accounts"

#: How often a CA account that validates nothing is looked after all the same: the product may get another one.
RARELY = timedelta(days=90)

#: No two looks are nearer to each other, whatever was answered.
SOONEST = timedelta(minutes=1)

#: Findings that one mail spells out; the page shows all.
SHOWN_IN_MAIL = 20


def look(check: HostingCheck, now: datetime) -> Advance | Wait:
    """One look, by what the check is about; the last one finds the hosting over."""
    if check.hosting.state not in ACTIVE:
        return Advance(CheckEvent.END, due_at=None, then=lambda: _clear(check, now))
    return _LOOKS[check.subject](check, now)


def _look_at_window(check: HostingCheck, now: datetime) -> Wait:
    """The CA's renewal information. Raises AdapterError."""
    return _again(renewal_windows.look(check.hosting, now), now)


def _look_at_validation(check: HostingCheck, now: datetime) -> Wait:
    """The rehearsal. Raises AdapterError where it could not be made."""
    hosting = check.hosting
    account = hosting.product.ca_account
    every = WEEK if preflight.is_rehearsed(account) else RARELY
    reports = preflight.rehearse(hosting.organisation_id, hosting.certificate.names, account, now)
    reason = preflight.stop_reason(reports)
    if reason is not None and reason.code in preflight.PASSING:
        raise reason
    _tell(check, account, reports, reason, now)
    return _again(next_look(check.created_at, _share(check), now, every), now)


_LOOKS: Mapping[CheckSubject, Callable[[HostingCheck, datetime], Wait]] = {
    CheckSubject.ARI: _look_at_window,
    CheckSubject.VALIDATION: _look_at_validation,
}


def _share(check: HostingCheck) -> float:
    """The row's own fraction in [0, 1), spread evenly."""
    return int(check.id[:8], 16) / 2**32


def _again(until: datetime, now: datetime) -> Wait:
    done = {"attempts": 0, "polls": 0, "error_code": None, "error_params": None, "stopped_at": None}
    return Wait(max(until, now + SOONEST), {"checked_at": now, **done})


def _tell(
    check: HostingCheck,
    account: CaAccount,
    reports: Sequence[NameReport],
    reason: AdapterError | None,
    now: datetime,
) -> None:
    """Alarm and notices in a transaction of their own, before the look is recorded.

    A claim that was lost meanwhile does no harm: an alarm of a kind and subject is open once, a notice goes out once
    for each week and recipient.
    """
    if reason is None:
        _clear(check, now)
        _clear_for_operators(account, reports, now)
        _wake_renewal(check, now)
    elif reason.code in preflight.OPERATORS_MEND:
        _raise_for_operators(reason, account, now)
    else:
        hosting = check.hosting
        words = _words(reason) | {"name": hosting.certificate.name}
        _raise(check, words, now)
        _tell_contacts(check, reports, reason, now)
    db.session.commit()


def _wake_renewal(check: HostingCheck, now: datetime) -> None:
    """A renewal that its own rehearsal stopped need not wait for its next try."""
    stopped = select(Renewal.id).where(
        Renewal.hosting_id == check.hosting_id,
        Renewal.state == RenewalState.STARTED,
        Renewal.stopped_at.is_not(None),
    )
    for renewal_id in db.session.scalars(stopped).all():
        wake(Renewal, renewal_id, now)


def _tell_contacts(
    check: HostingCheck, reports: Sequence[NameReport], reason: AdapterError, now: datetime
) -> None:
    certificate = check.hosting.certificate
    worst = [one for report in reports if (one := report.worst) is not None]
    blocking = [one for one in worst if one.severity is Severity.BLOCKING]
    params = {
        "name": certificate.name,
        "names": list(certificate.names),
        "certificate_id": certificate.id,
        "old_not_after": certificate.not_after.isoformat(),
        "findings": [{"code": one.code, "params": dict(one.params)} for one in blocking[:SHOWN_IN_MAIL]],
        **_words(reason),
    }
    noticing.tell(
        db.session,
        check.organisation_id,
        NoticeKind.ACTION_REQUIRED,
        subject_type=HOSTINGS,
        subject_id=check.hosting_id,
        params=params,
        now=now,
        threshold=week_of(check.created_at, now),
    )


def _words(reason: AdapterError) -> dict[str, Any]:
    return {"error_code": reason.code, "error_params": dict(reason.params)}


def _raise(check: HostingCheck, words: dict[str, Any], now: datetime) -> None:
    alarms.raise_alarm(
        AlarmKind.VALIDATION_BROKEN, now, subject_type=HOSTINGS, subject_id=check.hosting_id, params=words
    )


def _clear(check: HostingCheck, now: datetime) -> None:
    alarms.clear_alarm(AlarmKind.VALIDATION_BROKEN, now, subject_type=HOSTINGS, subject_id=check.hosting_id)


def _raise_for_operators(reason: AdapterError, account: CaAccount, now: datetime) -> None:
    """What is the operators' to mend is one alarm, however many hostings suffer from it."""
    words = _words(reason)
    if reason.code == "delegation_zone_unready":
        alarms.raise_alarm(AlarmKind.DELEGATION_ZONE_BROKEN, now, params=words)
        return
    kind, subject = AlarmKind.VALIDATION_BROKEN, account.id
    words |= {"name": account.name}
    alarms.raise_alarm(kind, now, subject_type=CA_ACCOUNTS, subject_id=subject, params=words)


def _clear_for_operators(account: CaAccount, reports: Sequence[NameReport], now: datetime) -> None:
    alarms.clear_alarm(AlarmKind.VALIDATION_BROKEN, now, subject_type=CA_ACCOUNTS, subject_id=account.id)
    if any(report.method is ValidationMethod.DELEGATION for report in reports):
        alarms.clear_alarm(AlarmKind.DELEGATION_ZONE_BROKEN, now)


def _on_stop(check: HostingCheck, now: datetime) -> None:
    """A rehearsal that could not be made again and again; for the CA's window its own alarms speak."""
    if check.subject is not CheckSubject.VALIDATION:
        return
    words = {
        "name": check.hosting.certificate.name,
        "error_code": check.error_code,
        "error_params": check.error_params or {},
    }
    _raise(check, words, now)


@dataclass(frozen=True)
class ValidationStatus:
    """How the names of a hosting would fare, for its page. `error_code` is set while looks themselves fail."""

    checked_at: datetime | None
    next_look_at: datetime | None
    error_code: str | None
    names: tuple[DomainValidation, ...]

    @property
    def is_broken(self) -> bool:
        return any(one.result_severity == Severity.BLOCKING.value for one in self.names)


def validation_status(hosting: Hosting) -> ValidationStatus:
    """The last rehearsal of a hosting's names, and when the next one is."""
    check = find(hosting.id, CheckSubject.VALIDATION)
    names = domain_validations.list_for(hosting.organisation_id, hosting.certificate.names)
    if check is None:
        return ValidationStatus(None, None, None, tuple(names))
    return ValidationStatus(check.checked_at, check.next_attempt_at, check.error_code, tuple(names))


KIND: Kind[HostingCheck] = Kind(
    name="check",
    model=HostingCheck,
    transitions=TRANSITIONS,
    steps={CheckState.ACTIVE: look},
    job=JobName.ADVANCE_CHECKS,
    on_stop=_on_stop,
)

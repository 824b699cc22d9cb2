"""Turning hosting on: who may, from when; and the states that people see on a certificate (rules 2, 4, 5, 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from portal.domain.errors import DomainError
from portal.domain.renewal import lead_time


class HostingState(StrEnum):
    HOSTED = "hosted"
    FAILED = "failed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class HostingEvent(StrEnum):
    FAIL = "fail"
    RESOLVE = "resolve"
    COMPLETE = "complete"
    CANCEL = "cancel"
    REOPEN = "reopen"


TRANSITIONS: Mapping[tuple[HostingState, HostingEvent], HostingState] = {
    (HostingState.HOSTED, HostingEvent.FAIL): HostingState.FAILED,
    (HostingState.FAILED, HostingEvent.RESOLVE): HostingState.HOSTED,
    (HostingState.HOSTED, HostingEvent.COMPLETE): HostingState.COMPLETED,
    (HostingState.HOSTED, HostingEvent.CANCEL): HostingState.CANCELLED,
    (HostingState.FAILED, HostingEvent.CANCEL): HostingState.CANCELLED,
    # A replacement inside the paid term, when its last certificate was issued already (revoked, key compromised).
    (HostingState.COMPLETED, HostingEvent.REOPEN): HostingState.HOSTED,
}


class CertificateState(StrEnum):
    """What a certificate's badge says."""

    UPLOADED = "uploaded"
    ISSUED = "issued"
    HOSTED = "hosted"
    UNDER_REVIEW = "under_review"
    NOT_ACTIVATED = "not_activated"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"
    HOSTING_FAILED = "hosting_failed"
    ACTION_REQUIRED = "action_required"


@dataclass(frozen=True)
class Candidate:
    """What the rules need to know of a certificate for which hosting is asked."""

    not_before: datetime
    not_after: datetime
    is_revoked: bool = False
    is_hosted: bool = False
    is_replaced: bool = False


Check = Callable[[Candidate, int, datetime], DomainError | None]


def opens_at(not_after: datetime, window_days: int) -> datetime | None:
    """From when hosting can be turned on; None means at any time (a window of 0 days)."""
    return not_after - timedelta(days=window_days) if window_days else None


def _not_hosted_yet(candidate: Candidate, _window_days: int, _now: datetime) -> DomainError | None:
    return DomainError("already_hosted") if candidate.is_hosted else None


def _newest_of_its_line(candidate: Candidate, _window_days: int, _now: datetime) -> DomainError | None:
    return DomainError("certificate_replaced") if candidate.is_replaced else None


def _not_revoked(candidate: Candidate, _window_days: int, _now: datetime) -> DomainError | None:
    return DomainError("certificate_revoked") if candidate.is_revoked else None


def _not_expired(candidate: Candidate, _window_days: int, now: datetime) -> DomainError | None:
    if now < candidate.not_after:
        return None
    return DomainError("certificate_expired", on=candidate.not_after.date().isoformat())


def _inside_window(candidate: Candidate, window_days: int, now: datetime) -> DomainError | None:
    opening = opens_at(candidate.not_after, window_days)
    if opening is None or now >= opening:
        return None
    return DomainError("window_not_open", opens_on=opening.date().isoformat(), days=window_days)


#: In the order in which a customer would want to hear of them.
TURN_ON_CHECKS: tuple[Check, ...] = (
    _not_hosted_yet,
    _newest_of_its_line,
    _not_revoked,
    _not_expired,
    _inside_window,
)


def reason_against(candidate: Candidate, window_days: int, now: datetime) -> DomainError | None:
    """Why hosting cannot be turned on for this certificate now; None if it can."""
    return next((reason for check in TURN_ON_CHECKS if (reason := check(candidate, window_days, now))), None)


@dataclass(frozen=True)
class Standing:
    """What decides a certificate's badge."""

    not_before: datetime
    not_after: datetime
    is_uploaded: bool
    is_revoked: bool = False
    hosting: HostingState | None = None
    needs_action: bool = False
    is_replaced: bool = False


def certificate_state(standing: Standing, now: datetime) -> CertificateState:
    """The badge of a certificate, the most pressing truth first."""
    if standing.is_revoked:
        return CertificateState.REVOKED
    if now >= standing.not_after:
        return CertificateState.EXPIRED
    if standing.hosting is HostingState.FAILED:
        return CertificateState.HOSTING_FAILED
    if standing.needs_action:
        return CertificateState.ACTION_REQUIRED
    if standing.hosting is HostingState.HOSTED:
        return CertificateState.HOSTED
    is_late = now >= standing.not_after - lead_time(standing.not_before, standing.not_after)
    # What a successor has taken over from may run out: it is history.
    if is_late and not standing.is_replaced:
        return CertificateState.EXPIRING
    return CertificateState.UPLOADED if standing.is_uploaded else CertificateState.ISSUED

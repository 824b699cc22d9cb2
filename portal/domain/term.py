"""Paid terms: how long a payment covers a certificate, and the certificates that will fill the span (rules 1, 2, 9).

This module alone computes terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from portal.domain.renewal import lead_time

PAID_YEAR = timedelta(days=365)

#: The longest validity public CAs may issue for, by the day of issuance (CA/B Forum ballot SC-081v3).
PUBLIC_LIMITS = (
    (datetime(2029, 3, 15, tzinfo=UTC), timedelta(days=47)),
    (datetime(2027, 3, 15, tzinfo=UTC), timedelta(days=100)),
    (datetime(2026, 3, 15, tzinfo=UTC), timedelta(days=200)),
)
BEFORE_LIMITS = timedelta(days=398)

#: CAs stay a day under the limit, since validity counts both of its ends.
CUSHION = timedelta(days=1)


def end_for_existing(old_expiry: datetime, years: int = 1) -> datetime:
    """Coverage of an existing certificate ends a paid year after its own expiry (rule 2)."""
    return old_expiry + PAID_YEAR * years


def end_for_new(first_issuance: datetime, years: int = 2) -> datetime:
    """Coverage of a new purchase runs from the first issuance (rule 1)."""
    return first_issuance + PAID_YEAR * years


def longest_validity(issued_at: datetime) -> timedelta:
    """The longest validity that a public CA may give on that day."""
    return next((limit for since, limit in PUBLIC_LIMITS if issued_at >= since), BEFORE_LIMITS)


@dataclass(frozen=True)
class PlannedIssuance:
    """One coming certificate: when its renewal falls due and when what it replaces expires."""

    due_at: datetime
    replaced_expires_at: datetime
    expires_at: datetime


def plan(
    not_before: datetime,
    not_after: datetime,
    term_end: datetime,
    now: datetime,
    validity: timedelta | None = None,
    first_due: datetime | None = None,
) -> tuple[PlannedIssuance, ...]:
    """The issuances from `now` on that fill the span from a certificate's expiry to the end of the paid term.

    `validity` is what a private CA gives; None means the public limits of each day. `first_due` is when the first one
    is due where that is decided already; the others follow the rule. The list ends with the first
    certificate that reaches `term_end`; it is empty where the certificate itself does.
    """
    issuances: list[PlannedIssuance] = []
    while not_after < term_end and len(issuances) < 1_000:
        by_rule = not_after - lead_time(not_before, not_after)
        due_at = max((first_due if not issuances else None) or by_rule, now)
        lifetime = validity or (longest_validity(due_at) - CUSHION)
        expires_at = due_at + lifetime
        if expires_at <= not_after:
            break
        issuances.append(PlannedIssuance(due_at, not_after, expires_at))
        not_before, not_after = due_at, expires_at
    return tuple(issuances)


def is_renewal_owed(not_after: datetime, term_end: datetime) -> bool:
    """Whether the paid term still owes a certificate after the one that expires at `not_after`."""
    return not_after < term_end

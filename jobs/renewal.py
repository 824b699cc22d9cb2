"""Renewals: every step that need not wait."""

from __future__ import annotations

from portal.clock import utc_now
from portal.queue import JobName
from portal.services.driving import drive_all
from portal.services.renewal_steps import KIND


def advance(*renewal_ids: str) -> None:
    """Drive these renewals on."""
    drive_all(KIND, renewal_ids, utc_now, JobName.ADVANCE_RENEWALS)


def make_keys(*renewal_ids: str) -> None:
    """Make the RSA keys of these renewals; every other step is rung for where it belongs."""
    drive_all(KIND, renewal_ids, utc_now, JobName.MAKE_KEYS)

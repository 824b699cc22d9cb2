"""Revocations that were asked for, and the lists that say what was revoked elsewhere."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services import crl_reading, revoking
from portal.services.driving import drive_all


def advance(*revocation_ids: str) -> None:
    """Do every step of these revocations that need not wait."""
    drive_all(revoking.KIND, revocation_ids, utc_now)


def read_crls(*source_ids: str) -> None:
    """Read these revocation lists."""
    drive_all(crl_reading.KIND, source_ids, utc_now)

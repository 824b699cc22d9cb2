"""Mass replacements: a portion at a time."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services.driving import drive_all
from portal.services.replacing import KIND


def advance(*replacement_ids: str) -> None:
    """Take the portion that is due."""
    drive_all(KIND, replacement_ids, utc_now)

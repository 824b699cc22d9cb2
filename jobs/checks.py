"""Checks of hostings: every look that is due."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services.driving import drive_all
from portal.services.hosting_checks import KIND


def advance(*check_ids: str) -> None:
    """Make these looks."""
    drive_all(KIND, check_ids, utc_now)

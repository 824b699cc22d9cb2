"""Notices: compose and send."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services.driving import drive_all
from portal.services.noticing import KIND


def send(*notice_ids: str) -> None:
    """Send these notices."""
    drive_all(KIND, notice_ids, utc_now)

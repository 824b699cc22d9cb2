"""Notices: compose and send."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services.noticing import KIND
from portal.services.operations import drive_all


def send(*notice_ids: str) -> None:
    """Send these notices."""
    drive_all(KIND, notice_ids, utc_now)

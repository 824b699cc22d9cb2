"""Orders: asking after payments, expiring, turning hosting on for what was paid."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services.driving import drive_all
from portal.services.order_steps import KIND


def advance(*ids: str) -> None:
    """Do every step of these orders that need not wait."""
    drive_all(KIND, ids, utc_now)

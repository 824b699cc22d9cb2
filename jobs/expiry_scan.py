"""The expiry scan, rung by the schedule: a due tick every two seconds, a sweep of everything every minute."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services import scanning


def tick() -> None:
    """Ring for what is due."""
    scanning.scan(utc_now())


def sweep() -> None:
    """Ring until nothing unrung is due."""
    scanning.sweep(utc_now())

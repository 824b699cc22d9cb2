"""Housekeeping, once an hour."""

from __future__ import annotations

from portal.clock import utc_now
from portal.services import housekeeping


def clean() -> None:
    """Throw away what nobody will ask for again."""
    housekeeping.clean(utc_now())

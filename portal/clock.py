"""The wall clock, for the edges that hand `now` inward: jobs, commands and views."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.now(UTC)

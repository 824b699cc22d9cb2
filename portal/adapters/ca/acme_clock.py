"""The clock of a server, as its Date headers tell it. Source: RFC 9110, 6.6.1."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


class HeardClock:
    """What time it is elsewhere: the last moment heard, and what this process's monotonic clock has measured since.

    Our own wall clock plays no part in it, so that it can be checked by it. Exact to a second.
    """

    def __init__(self) -> None:
        self._heard: tuple[datetime, float] | None = None

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take the Date of an answer that has just come; one that cannot be read is passed over."""
        try:
            said = parsedate_to_datetime(headers.get("Date", ""))
        except ValueError:
            return
        aware = said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)
        self._heard = aware, time.monotonic()

    def now(self, longest_ago: float = float("inf")) -> datetime | None:
        """The time there; None if nothing was heard in the last `longest_ago` seconds."""
        if self._heard is None:
            return None
        said, at = self._heard
        passed = time.monotonic() - at
        return said + timedelta(seconds=passed) if passed <= longest_ago else None

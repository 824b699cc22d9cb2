"""The clock of the pages, under the name that views use: read once a request and passed on."""

from __future__ import annotations

from portal.clock import utc_now as now

__all__ = ["now"]

"""A time limit for jobs that no `except Exception` swallows: running too long is no failure of the step at hand."""

from __future__ import annotations

from typing import Any

from rq.timeouts import UnixSignalDeathPenalty


class OutOfTime(BaseException):
    """The job at hand has had its time. Rows that it holds are found again when their leases run out."""


class TimeLimit(UnixSignalDeathPenalty):
    """RQ's, but for what it raises: RQ's own would be taken for a failed step, and the job go on without a limit."""

    def handle_death_penalty(self, signum: Any, frame: Any) -> None:  # noqa: ARG002
        raise OutOfTime(f"longer than {self._timeout} seconds")

"""Jobs that have failed, as RQ leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rq.job import JobStatus
from rq.results import Result

from portal.doorbell import queue
from portal.queue import QueueName

TRACEBACK = """Traceback (most recent call last):
  File "/srv/somewhere/portal/services/operations.py", line 150, in drive_all
    drive(kind, row_id, clock)
ConnectionError: https://user:hunter2@ca.example/acme refused
"""


def failed_job(name: str, args: Sequence[str], where: QueueName, text: str = TRACEBACK) -> str:
    """A job of that function and those arguments that failed with this traceback; its id."""
    job = queue(where).create_job(name, args=tuple(args))
    job.ended_at = datetime.now(UTC)
    job.save()
    job.set_status(JobStatus.FAILED)
    job.failed_job_registry.add(job, ttl=600, exc_string=text)
    Result.create_failure(job, 600, text, worker_name="worker")
    return str(job.id)

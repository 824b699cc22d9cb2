"""A worker process whose renewals have one step that does nothing: `python -m bench.engine_worker simple|fork`.

All else is the portal's: StepWorker, the claim, the record, the history. `fork` runs each job in a child of its own,
as RQ's Worker does.
"""

from __future__ import annotations

import sys
from typing import Any

from rq.job import Job
from rq.queue import Queue
from rq.worker import Worker

from bench.engine import KIND
from jobs import renewal, worker
from portal.clock import utc_now
from portal.extensions import db
from portal.services.driving import drive_all


def advance(*ids: str) -> None:
    """Drive these on, each to the end of its one step."""
    drive_all(KIND, ids, utc_now)


class ForkingWorker(worker.StepWorker, Worker):
    """A child a job; each opens a database connection of its own, since a forked one cannot be shared."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        Worker.execute_job(self, job, queue)

    def main_work_horse(self, *arguments: Any, **named: Any) -> Any:
        with self._app.app_context():
            db.engine.dispose(close=False)
        return super().main_work_horse(*arguments, **named)


if __name__ == "__main__":
    renewal.advance = advance
    if sys.argv[1] == "fork":
        worker.StepWorker = ForkingWorker  # type: ignore[misc]
    worker.main()

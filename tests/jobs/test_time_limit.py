"""A job that runs too long ends, whatever its steps catch."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from rq.timeouts import JobTimeoutException

from jobs.time_limit import OutOfTime, TimeLimit
from jobs.worker import StepWorker
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.services.driving import drive
from portal.services.operations import Advance
from tests.factories import Cast, Factory
from tests.services.scripts import Script, reread, settle


def test_workers_run_jobs_under_it() -> None:
    assert StepWorker.death_penalty_class is TimeLimit


def test_a_step_that_hangs_is_no_failed_try_and_is_done_again_after_its_lease(
    factory: Factory, cast: Cast, now: datetime
) -> None:
    row = factory.renewal(factory.hosting(factory.certificate(cast.organisation)), due=now)

    def hang(_row: Renewal, _now: datetime) -> Advance:
        time.sleep(10)
        raise AssertionError("it was not ended")

    with pytest.raises(OutOfTime), TimeLimit(1, JobTimeoutException):
        drive(Script(hang).kind(), row.id, lambda: now)
    db.session.rollback()
    left = reread(row)
    assert (left.attempts, left.error_code, left.lease_until is not None) == (0, None, True)
    left.lease_until = left.lease_until - timedelta(hours=1)
    db.session.commit()
    drive(Script(settle).kind(), row.id, lambda: now)
    assert reread(row).state.value == "started"

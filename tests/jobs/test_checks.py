"""The job behind the checks of hostings."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from jobs import checks
from portal.extensions import db
from portal.models.validation import HostingCheck
from portal.services import check_rows
from tests.factories import Cast, Factory


def test_the_job_makes_every_look_that_is_due_and_no_other(
    factory: Factory, cast: Cast, now: datetime
) -> None:
    hosting = factory.hosting(factory.certificate(cast.organisation))
    check_rows.begin(hosting, now)
    db.session.commit()
    ids = db.session.scalars(select(HostingCheck.id)).all()
    checks.advance(*ids)
    db.session.expire_all()
    rows = db.session.scalars(select(HostingCheck)).all()
    assert all(row.checked_at is not None and row.error_code is None for row in rows)
    first = {row.id: (row.checked_at, row.fence) for row in rows}
    checks.advance(*ids)
    db.session.expire_all()
    assert {row.id: (row.checked_at, row.fence) for row in db.session.scalars(select(HostingCheck))} == first

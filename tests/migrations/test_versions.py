"""Migrations of an installation that is in use."""

from __future__ import annotations

from datetime import datetime

from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import select

from portal.domain.checks import WEEK, CheckState, CheckSubject
from portal.domain.hosting import HostingState
from portal.extensions import db
from portal.models.validation import HostingCheck
from tests.factories import Cast, Factory


def test_hostings_of_before_get_their_checks(
    core_app: Flask, factory: Factory, cast: Cast, now: datetime
) -> None:
    running = factory.hosting(factory.certificate(cast.organisation))
    failed = factory.hosting(factory.certificate(cast.organisation), state=HostingState.FAILED)
    factory.hosting(factory.certificate(cast.organisation), state=HostingState.COMPLETED)
    ids, organisation_id = {running.id, failed.id}, cast.organisation.id
    db.session.remove()
    downgrade(revision="0001")
    upgrade()
    rows = db.session.scalars(select(HostingCheck)).all()
    assert {(row.hosting_id, row.subject) for row in rows} == {
        (one, sub) for one in ids for sub in CheckSubject
    }
    for row in rows:
        assert (row.state, row.attempts, row.organisation_id) == (CheckState.ACTIVE, 0, organisation_id)
        assert row.next_attempt_at is not None
        assert now <= row.created_at <= row.next_attempt_at <= row.created_at + WEEK

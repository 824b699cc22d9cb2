"""What an id stands for, for kinds that other tests do not come across."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from portal.domain.checks import CheckState, CheckSubject
from portal.extensions import db
from portal.models.validation import HostingCheck
from portal.services import hosting_checks, operating, operator_acts, subjects
from portal.services.acting import Actor
from tests.factories import Cast, Factory


def stopped_check(factory: Factory, cast: Cast, now: datetime) -> HostingCheck:
    hosting = factory.hosting(factory.certificate(cast.organisation, names=("www.example.com",)))
    hosting_checks.begin(hosting, now)
    db.session.commit()
    query = select(HostingCheck).where(HostingCheck.subject == CheckSubject.VALIDATION)
    check = db.session.scalars(query).one()
    check.stopped_at, check.error_code, check.error_params = now, "unexpected", {}
    db.session.commit()
    return check


def test_a_check_that_stopped_is_listed_by_its_certificate(
    factory: Factory, cast: Cast, now: datetime
) -> None:
    check = stopped_check(factory, cast, now)
    (listed,) = operating.read(now).attention
    assert (listed.kind, listed.id, listed.title) == ("check", check.id, "www.example.com")
    assert (listed.note, listed.organisation, listed.state) == (
        "validation",
        cast.organisation.name,
        CheckState.ACTIVE,
    )
    assert subjects.by_id("check", [check.id]) == {check.id: listed}


def test_the_operator_has_it_made_now(factory: Factory, cast: Cast, now: datetime) -> None:
    check = stopped_check(factory, cast, now)
    check.next_attempt_at = now.replace(year=now.year + 1)
    db.session.commit()
    operator_acts.try_now("check", check.id, Actor(cast.olga.id, ""), now)
    db.session.expire_all()
    assert check.next_attempt_at == now

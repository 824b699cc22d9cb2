"""Setting domain validation up, on both databases: what is listed, chosen, looked at."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from portal.domain.errors import DomainError
from portal.domain.spec import DomainType
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.validation import HostingCheck
from portal.services import hosting_checks, validation_pages
from portal.services.acting import Actor
from portal.services.validation_pages import Scope
from portal.services.validation_standings import Standing, views_of
from tests.factories import Cast
from tests.services.rehearsal import SHOP, ZONE, Rehearsal

AWAY = "away.customer.test"


@pytest.fixture
def scope(rehearsal: Rehearsal, cast: Cast) -> Scope:
    """SHOP, of a certificate that is hosted at a CA that validates."""
    factory = rehearsal.factory
    certificate = factory.certificate(rehearsal.organisation, names=(f"*.{SHOP}", SHOP, AWAY))
    product = factory.product(ca_account=rehearsal.account, domain_type=DomainType.MULTI)
    hosting_checks.begin(factory.hosting(certificate, product), rehearsal.now)
    db.session.commit()
    return Scope(cast.organisation.id, name=SHOP)


def test_a_name_is_read_with_its_forms_its_target_and_its_ca(
    rehearsal: Rehearsal, scope: Scope, now: datetime
) -> None:
    rehearsal.delegate_shop()
    setup = validation_pages.read(scope, now)
    (one,) = setup.names
    assert (one.name, one.written, one.standing) == (SHOP, (f"*.{SHOP}", SHOP), Standing.UNSEEN)
    assert (setup.targets, setup.is_wildcard) == ({SHOP: f"right.{ZONE}"}, True)
    assert setup.account is not None
    assert setup.account.id == rehearsal.account.id


def test_a_look_tells_and_keeps_what_it_found_and_hurries_the_weekly_one(
    rehearsal: Rehearsal, scope: Scope, actor: Actor, now: datetime
) -> None:
    rehearsal.delegate_shop()
    later = now + timedelta(days=6)
    db.session.query(HostingCheck).update({"next_attempt_at": later})
    db.session.commit()
    setup, reports = validation_pages.check(scope, actor, now)
    assert [report.name for report in reports] == [f"*.{SHOP}", SHOP]
    assert (setup.names[0].standing, setup.names[0].checked_at) == (Standing.OK, now)
    due = db.session.scalars(select(HostingCheck.next_attempt_at).order_by(HostingCheck.next_attempt_at))
    assert list(due) == [now, later]


def test_a_broken_name_comes_before_the_others(
    rehearsal: Rehearsal, scope: Scope, actor: Actor, now: datetime
) -> None:
    rehearsal.delegate_shop()
    for name in (SHOP, AWAY):
        setup, _ = validation_pages.check(Scope(scope.organisation_id, name=name), actor, now)
    (view,) = views_of([setup.certificates[0].certificate], now)
    assert [(one.name, one.standing) for one in view.pressing] == [
        (AWAY, Standing.BLOCKED),
        (SHOP, Standing.OK),
    ]
    assert [one.name for one in view.fitting("AWAY")] == [AWAY]


def test_what_cannot_be_is_refused_and_nothing_is_changed(
    scope: Scope, actor: Actor, cast: Cast, now: datetime
) -> None:
    refusals = {
        ValidationMethod.HTTP: "wildcard_needs_dns",
        ValidationMethod.DELEGATION: "delegation_zone_unready",
        ValidationMethod.CREDENTIALS: "dns_credential_not_found",
    }
    for method, code in refusals.items():
        with pytest.raises(DomainError) as caught:
            validation_pages.choose(scope, method, actor, now)
        assert caught.value.code == code
    assert validation_pages.read(scope, now).methods == {ValidationMethod.OPERATOR}
    with pytest.raises(DomainError):
        validation_pages.read(Scope(cast.other_organisation.id, name=SHOP), now)


def test_the_list_is_searched_and_is_the_organisations_own(scope: Scope, cast: Cast, now: datetime) -> None:
    def found(organisation_id: str, text: str) -> list[str]:
        page = validation_pages.list_certificates(organisation_id, text, None, now)
        return [view.certificate.name for view in page.rows]

    assert found(cast.organisation.id, "Away.") == [f"*.{SHOP}"]
    assert found(cast.organisation.id, "_way.") == []
    assert found(cast.other_organisation.id, "") == []

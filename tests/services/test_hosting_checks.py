"""The checks of a hosting: rehearsed weekly, told about until mended, ended with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import dns.rcode
import pytest
from sqlalchemy import select, update

from portal.domain.alarms import AlarmKind
from portal.domain.checks import WEEK, CheckState, CheckSubject
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.domain.validation import ValidationMethod
from portal.doorbell import queue
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.models.validation import DelegationZone, DomainValidation, HostingCheck
from portal.queue import QueueName
from portal.services import hosting_checks
from portal.services.acting import Actor
from portal.services.composing import compose
from portal.services.driving import drive
from portal.services.operations import settings
from tests.dns_server import DnsServer, dns_server
from tests.factories import Cast, Factory
from tests.services.rehearsal import SHOP, ZONE, Rehearsal

VALIDATION = CheckSubject.VALIDATION


@pytest.fixture
def hosting(factory: Factory, rehearsal: Rehearsal, now: datetime) -> Hosting:
    """SHOP, hosted at an account that validates, delegated to us; its checks have begun."""
    factory.contact(rehearsal.organisation)
    rehearsal.add_zone()
    rehearsal.prove(SHOP, ValidationMethod.DELEGATION, "right")
    certificate = factory.certificate(rehearsal.organisation, names=(SHOP,))
    made = factory.hosting(certificate, factory.product(ca_account=rehearsal.account))
    hosting_checks.begin(made, now)
    db.session.commit()
    return made


@pytest.fixture
def broken(hosting: Hosting) -> Hosting:
    """The delegation leads elsewhere from now on."""
    set_label("another")
    return hosting


def set_label(label: str) -> None:
    db.session.execute(update(DomainValidation).values(delegation_label=label))
    db.session.commit()


def check_of(hosting: Hosting, subject: CheckSubject = VALIDATION) -> HostingCheck:
    db.session.expire_all()
    return db.session.query(HostingCheck).filter_by(hosting_id=hosting.id, subject=subject).one()


def make(hosting: Hosting, at: datetime, subject: CheckSubject = VALIDATION) -> HostingCheck:
    drive(hosting_checks.KIND, check_of(hosting, subject).id, lambda: at)
    return check_of(hosting, subject)


def alarms() -> list[tuple[AlarmKind, str, bool]]:
    """Kind, subject, whether it is open."""
    rows = db.session.scalars(select(Alarm).order_by(Alarm.raised_at))
    return [(one.kind, one.subject_type, one.cleared_at is None) for one in rows]


def told() -> list[Notice]:
    query = select(Notice).where(Notice.kind == NoticeKind.ACTION_REQUIRED).order_by(Notice.created_at)
    return list(db.session.scalars(query))


def test_a_hosting_begins_with_a_look_at_everything_however_often_it_is_begun(
    hosting: Hosting, now: datetime
) -> None:
    hosting_checks.begin(hosting, now + timedelta(days=1))
    db.session.commit()
    rows = db.session.scalars(select(HostingCheck)).all()
    assert {row.subject for row in rows} == set(CheckSubject)
    assert {(row.next_attempt_at, row.state) for row in rows} == {(now, CheckState.ACTIVE)}


def test_a_sound_name_is_looked_at_again_within_a_week_and_then_weekly(
    hosting: Hosting, now: datetime
) -> None:
    first = make(hosting, now)
    assert first.checked_at == now
    assert first.next_attempt_at is not None
    assert now < first.next_attempt_at <= now + WEEK
    at = first.next_attempt_at
    second = make(hosting, at)
    assert second.next_attempt_at == at + WEEK
    assert (alarms(), told()) == ([], [])


def test_a_broken_name_is_an_alarm_and_the_contacts_are_told_what_to_do(
    broken: Hosting, now: datetime
) -> None:
    row = make(broken, now)
    assert (row.attempts, row.stopped_at, row.error_code) == (0, None, None)
    assert alarms() == [(AlarmKind.VALIDATION_BROKEN, "hostings", True)]
    (notice,) = told()
    assert notice.recipient == "ops@example.com"
    text = compose(notice, settings(), now).get_body(("plain",))
    assert text is not None
    words = text.get_content()
    assert f"_acme-challenge.{SHOP} CNAME another.{ZONE}" in words
    assert f"/certificates/{broken.certificate_id}" in words


def test_it_is_told_once_a_week_while_it_lasts(broken: Hosting, now: datetime) -> None:
    make(broken, now)
    for hours in (1, 2):
        hosting_checks.look_again(broken, VALIDATION, now + timedelta(hours=hours))
        db.session.commit()
        row = make(broken, now + timedelta(hours=hours))
    assert len(told()) == 1
    for _ in range(3):
        assert row.next_attempt_at is not None
        row = make(broken, row.next_attempt_at)
    assert len(told()) == 3
    assert alarms() == [(AlarmKind.VALIDATION_BROKEN, "hostings", True)]


def test_what_is_mended_clears_the_alarm(broken: Hosting, now: datetime) -> None:
    make(broken, now)
    set_label("right")
    hosting_checks.look_again(broken, VALIDATION, now)
    db.session.commit()
    make(broken, now + timedelta(minutes=2))
    assert alarms() == [(AlarmKind.VALIDATION_BROKEN, "hostings", False)]
    status = hosting_checks.validation_status(broken)
    assert (status.is_broken, status.checked_at) == (False, now + timedelta(minutes=2))


def test_a_renewal_that_was_stopped_goes_on_once_a_look_finds_all_well(
    factory: Factory, broken: Hosting, now: datetime
) -> None:
    tomorrow = now + timedelta(days=1)
    stopped = {"due": tomorrow, "stopped_at": now, "error_code": "delegation_elsewhere"}
    renewal = factory.renewal(broken, state=RenewalState.STARTED, **stopped)
    make(broken, now)
    assert db.session.get_one(Renewal, renewal.id).next_attempt_at == tomorrow
    set_label("right")
    soon = now + timedelta(minutes=2)
    hosting_checks.look_again(broken, VALIDATION, soon)
    db.session.commit()
    make(broken, soon)
    assert db.session.get_one(Renewal, renewal.id).next_attempt_at == soon


def test_somebody_may_look_at_once_and_only_at_what_is_theirs(
    hosting: Hosting, cast: Cast, now: datetime
) -> None:
    make(hosting, now)
    soon = now + timedelta(minutes=1)
    stranger = Actor(cast.charlie.id, cast.other_organisation.id)
    with pytest.raises(DomainError, match="hosting_not_found"):
        hosting_checks.look_now(hosting.id, VALIDATION, stranger, soon)
    hosting_checks.look_now(hosting.id, VALIDATION, Actor(cast.alice.id, hosting.organisation_id), soon)
    assert check_of(hosting).next_attempt_at == soon
    assert queue(QueueName.CHECK).count == 1


def test_the_page_sees_what_is_broken_and_when_it_is_looked_at_next(broken: Hosting, now: datetime) -> None:
    row = make(broken, now)
    status = hosting_checks.validation_status(broken)
    assert (status.is_broken, status.checked_at, status.next_look_at) == (True, now, row.next_attempt_at)
    assert [(one.name, one.result_code) for one in status.names] == [(SHOP, "delegation_elsewhere")]


def test_our_own_zone_s_trouble_is_one_alarm_and_no_customer_s(hosting: Hosting, now: datetime) -> None:
    db.session.execute(update(DelegationZone).values(verified_at=None))
    db.session.commit()
    row = make(hosting, now)
    assert alarms() == [(AlarmKind.DELEGATION_ZONE_BROKEN, "", True)]
    assert told() == []
    db.session.execute(update(DelegationZone).values(verified_at=now))
    db.session.commit()
    assert row.next_attempt_at is not None
    make(hosting, row.next_attempt_at)
    assert alarms() == [(AlarmKind.DELEGATION_ZONE_BROKEN, "", False)]


def test_an_account_without_dns_access_is_one_alarm_of_the_account(
    hosting: Hosting, rehearsal: Rehearsal, now: datetime
) -> None:
    db.session.execute(update(DomainValidation).values(method=ValidationMethod.OPERATOR))
    db.session.commit()
    make(hosting, now)
    assert alarms() == [(AlarmKind.VALIDATION_BROKEN, "ca_accounts", True)]
    assert told() == []


@pytest.fixture
def silent() -> Iterator[DnsServer]:
    with dns_server("customer.test") as running:
        running.rcode = dns.rcode.SERVFAIL
        yield running


def test_a_look_that_could_not_be_made_is_tried_again_and_told_to_operators_in_the_end(
    hosting: Hosting, rehearsal: Rehearsal, silent: DnsServer, now: datetime
) -> None:
    rehearsal.set_account(resolver=silent.address)
    at, row = now, make(hosting, now)
    assert (row.attempts, row.error_code, alarms()) == (1, "dns_unavailable", [])
    while row.stopped_at is None:
        assert row.next_attempt_at is not None
        at = row.next_attempt_at
        row = make(hosting, at)
    assert alarms() == [(AlarmKind.VALIDATION_BROKEN, "hostings", True)]
    assert told() == []
    silent.rcode = None
    set_label("x")
    assert row.next_attempt_at is not None
    row = make(hosting, row.next_attempt_at)
    assert (row.attempts, row.stopped_at, row.error_code) == (0, None, None)


def test_a_ca_that_validates_nothing_is_looked_after_rarely(
    factory: Factory, rehearsal: Rehearsal, now: datetime
) -> None:
    hosting = factory.hosting(factory.certificate(rehearsal.organisation))
    hosting_checks.begin(hosting, now)
    db.session.commit()
    row = make(hosting, now)
    assert row.next_attempt_at is not None
    assert now < row.next_attempt_at <= now + hosting_checks.RARELY


@pytest.mark.parametrize("state", [HostingState.COMPLETED, HostingState.CANCELLED])
def test_checks_end_with_their_hosting_and_so_do_their_alarms(
    broken: Hosting, now: datetime, state: HostingState
) -> None:
    make(broken, now)
    db.session.execute(update(Hosting).values(state=state))
    hosting_checks.end(broken)
    db.session.commit()
    for subject in CheckSubject:
        row = make(broken, now, subject)
        assert (row.state, row.next_attempt_at) == (CheckState.ENDED, None)
    assert alarms() == [(AlarmKind.VALIDATION_BROKEN, "hostings", False)]
    ended = select(HistoryEntry).where(HistoryEntry.subject_type == "hosting_checks")
    assert [one.event for one in db.session.scalars(ended)] == ["end", "end"]


def test_checks_begin_again_with_a_hosting_that_is_opened_again(hosting: Hosting, now: datetime) -> None:
    db.session.execute(update(Hosting).values(state=HostingState.COMPLETED))
    hosting_checks.end(hosting)
    db.session.commit()
    make(hosting, now)
    hosting_checks.look_again(hosting, VALIDATION, now)
    db.session.commit()
    assert check_of(hosting).next_attempt_at is None
    db.session.execute(update(Hosting).values(state=HostingState.HOSTED))
    hosting_checks.begin(hosting, now + WEEK)
    db.session.commit()
    row = check_of(hosting)
    assert (row.state, row.next_attempt_at) == (CheckState.ACTIVE, now + WEEK)


def test_the_ca_s_window_is_looked_at_again_when_it_wants(hosting: Hosting, now: datetime) -> None:
    row = make(hosting, now, CheckSubject.ARI)
    assert row.checked_at == now
    assert row.next_attempt_at is not None
    assert row.next_attempt_at > now

"""What operators see of an installation, what they do, and what that leaves behind."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event, select, text

from portal.domain.deployment import DeploymentState
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind, NoticeState
from portal.domain.order import OrderState
from portal.domain.renewal import RenewalState
from portal.domain.revocation import RevocationReason
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.history import AuditEntry, HistoryEntry
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.queue import JobName, QueueName
from portal.services import failed_jobs, job_board, operating, operator_acts, revocation_steps
from portal.services.acting import Actor
from tests.failures import failed_job

OLGA = Actor("f" * 32, "", "192.0.2.7")


@pytest.fixture
def renewal(factory, cast, now) -> Renewal:
    """A renewal that stopped for a person, due again tomorrow."""
    hosting = factory.hosting(factory.certificate(cast.organisation))
    return factory.renewal(
        hosting,
        state=RenewalState.VALIDATING,
        due=now + timedelta(days=1),
        started_at=now,
        ca_account_id=hosting.product.ca_account_id,
        stopped_at=now,
        error_code="ca_refused",
        error_params={},
        attempts=1,
    )


@pytest.fixture
def refused(factory, cast, now) -> Notice:
    return factory.add(
        Notice(
            organisation_id=cast.organisation.id, kind=NoticeKind.ORDER_PAID, subject_type="orders",
            subject_id="1" * 32, recipient="nobody@example.com", locale="en", timezone="UTC", params={},
            state=NoticeState.REFUSED, message_id="<a@b>", created_at=now, stopped_at=now,
            error_code="mail_refused", error_params={}, attempts=1,
        )
    )  # fmt: skip


def audited(session):
    session.expire_all()
    return [
        (one.action, one.subject_id, one.actor, one.ip_address) for one in session.scalars(select(AuditEntry))
    ]


def test_an_empty_installation_reads(session, now):
    situation = operating.read(now)
    assert (situation.attention_count, situation.flight_steps, situation.late) == (0, {}, {})


def test_whatever_needs_a_person_is_listed(factory, cast, now, renewal, refused):
    certificate = factory.certificate(cast.organisation, names=("img.example.com",))
    target = factory.target(factory.cloud_account(cast.organisation), "img.example.com")
    factory.deployment(target, certificate, state=DeploymentState.NOT_LIVE)
    disputed = factory.order(cast.organisation, cast.alice, [certificate], state=OrderState.DISPUTED)
    factory.hosting(certificate, state=HostingState.FAILED)
    factory.order(cast.organisation, cast.alice, [certificate])
    situation = operating.read(now)
    listed = {(one.kind, one.title) for one in situation.attention}
    assert listed == {
        ("renewal", renewal.predecessor.name),
        ("notice", "nobody@example.com"),
        ("deployment", "img.example.com"),
        ("order", disputed.number),
    }
    assert [one.name for one in situation.failed_hostings] == ["img.example.com"]
    assert situation.attention_count == 5
    assert {one.organisation for one in situation.attention} == {cast.organisation.name}


def test_renewals_in_flight_are_counted_by_step_and_ca(factory, cast, now, renewal):
    hosting = factory.hosting(factory.certificate(cast.organisation, names=("waiting.example.com",)))
    factory.renewal(hosting)
    situation = operating.read(now)
    assert situation.flight_steps == {RenewalState.VALIDATING: 1}
    assert {one.id: one.in_flight for one in situation.authorities}[renewal.ca_account_id] == 1


def test_late_work_is_counted_with_its_age(factory, cast, now):
    hosting = factory.hosting(factory.certificate(cast.organisation))
    factory.renewal(hosting, due=now - timedelta(hours=1))
    late = operating.read(now).late
    assert late["renewal"].count == 1
    assert set(late) == {"renewal"}


def test_reading_takes_a_constant_number_of_queries(factory, cast, now, renewal):
    def count() -> int:
        seen = []

        def note(*_args):
            seen.append(1)

        event.listen(db.engine, "before_cursor_execute", note)
        operating.read(now)
        event.remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    before = count()
    for number in range(5):
        hosting = factory.hosting(factory.certificate(cast.organisation, names=(f"n{number}.example.com",)))
        factory.renewal(hosting, state=RenewalState.ORDERED, started_at=now, stopped_at=now)
    assert count() == before


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("kind", list(operating.ATTENTION))
def test_lists_come_from_partial_indexes(session, kind):
    from portal.services import subjects

    query = select(subjects.MODELS[kind].id).where(operating.ATTENTION[kind])
    compiled = query.compile(db.engine, compile_kwargs={"literal_binds": True})
    plan = " ".join(str(row[3]) for row in session.execute(text(f"EXPLAIN QUERY PLAN {compiled}")))
    assert "_attention" in plan


# Acts


def test_work_is_tried_at_once_and_audited(session, now, renewal, redis_server):
    operator_acts.try_now("renewal", renewal.id, OLGA, now)
    assert audited(session) == [("renewal.try_now", renewal.id, OLGA.id, OLGA.ip_address)]
    assert session.get_one(Renewal, renewal.id).next_attempt_at == now
    assert {one.name: one.depth for one in job_board.read(now).queues}[QueueName.RENEWAL] == 1


def test_a_refused_mail_becomes_pending_again(session, now, refused):
    operator_acts.try_now("notice", refused.id, OLGA, now)
    session.expire_all()
    notice = session.get_one(Notice, refused.id)
    assert (notice.state, notice.next_attempt_at, notice.stopped_at) == (NoticeState.PENDING, now, None)
    (change,) = session.scalars(select(HistoryEntry))
    assert (change.event, change.actor) == ("retry", OLGA.id)
    assert [one[0] for one in audited(session)] == ["notice.try_now"]


def test_what_is_settled_is_not_tried(session, factory, cast, now):
    order = factory.order(cast.organisation, cast.alice, [factory.certificate(cast.organisation)])
    with pytest.raises(DomainError, match="nothing_to_try"):
        operator_acts.try_now("order", order.id, OLGA, now)
    session.rollback()
    assert audited(session) == []


@pytest.mark.parametrize("kind", ["renewal", "users", "nonsense"])
def test_what_is_not_there_is_not_tried(session, cast, now, kind):
    with pytest.raises(DomainError, match="not_found"):
        operator_acts.try_now(kind, cast.alice.id, OLGA, now)


def test_a_ca_is_paused_and_resumed(session, factory, now):
    account = factory.ca_account()
    operator_acts.pause_authority(account.id, True, OLGA, now)
    assert session.get_one(CaAccount, account.id).paused_at == now
    operator_acts.pause_authority(account.id, False, OLGA, now)
    assert session.get_one(CaAccount, account.id).paused_at is None
    assert [one[0] for one in audited(session)] == ["ca_account.pause", "ca_account.resume"]


# Failed jobs


def test_a_failed_job_is_shown_as_what_it_stands_for(session, now, renewal):
    job_id = failed_job(JobName.ADVANCE_RENEWALS.value, [renewal.id, "0" * 32], QueueName.RENEWAL)
    board = job_board.read(now)
    (view,) = board.failed
    assert (view.id, view.job, view.error.partition(":")[0]) == (
        job_id,
        JobName.ADVANCE_RENEWALS,
        "ConnectionError",
    )
    assert "hunter2" not in view.traceback + view.error
    assert "/srv/somewhere" not in view.traceback
    assert [one.title for one in operating.stand_for(board.failed)[job_id]] == [renewal.predecessor.name]


def test_a_failed_job_goes_back_into_its_queue(session, now, renewal):
    job_id = failed_job(JobName.ADVANCE_RENEWALS.value, [renewal.id], QueueName.RENEWAL)
    failed_jobs.retry(job_id, OLGA, now)
    board = job_board.read(now)
    assert board.failed_count == 0
    assert {one.name: one.depth for one in board.queues}[QueueName.RENEWAL] == 1
    assert [one[0] for one in audited(session)] == ["job.retry"]


def test_all_go_back_but_what_is_not_ours(session, now, renewal):
    for _ in range(12):
        failed_job(JobName.ADVANCE_RENEWALS.value, [renewal.id], QueueName.RENEWAL)
    foreign = failed_job("os.system", ["true"], QueueName.NOTICE)
    assert job_board.read(now).failed_count == 13
    assert failed_jobs.retry_all(OLGA, now) == 12
    (left,) = job_board.read(now).failed
    assert (left.id, left.job) == (foreign, None)
    with pytest.raises(DomainError, match="job_foreign"):
        failed_jobs.retry(foreign, OLGA, now)
    failed_jobs.remove(foreign, OLGA, now)
    assert job_board.read(now).failed_count == 0
    assert [one[0] for one in audited(session)] == ["job.retry"] * 12 + ["job.remove"]


def test_an_unknown_job_is_not_found(session, now):
    with pytest.raises(DomainError, match="not_found"):
        failed_jobs.retry("nothing", OLGA, now)


def test_a_damaged_job_does_not_hide_the_others(session, now, renewal, core_app):
    good = failed_job(JobName.ADVANCE_RENEWALS.value, [renewal.id], QueueName.RENEWAL)
    bad = failed_job(JobName.ADVANCE_RENEWALS.value, [renewal.id], QueueName.RENEWAL)
    core_app.extensions["redis"].hset(f"rq:job:{bad}", "data", b"\x80broken")
    assert {one.id: one.job for one in job_board.read(now).failed} == {
        good: JobName.ADVANCE_RENEWALS,
        bad: None,
    }


def test_a_revocation_that_a_ca_refused_needs_a_person(factory, cast, session, now):
    certificate = factory.certificate(cast.organisation, ca_account=factory.ca_account())
    revocation = revocation_steps.begin(certificate, RevocationReason.KEY_COMPROMISE, "cli", now)
    revocation.stopped_at, revocation.error_code = now, "ca_refused"
    session.commit()
    situation = operating.read(now)
    assert [(one.kind, one.title) for one in situation.attention] == [("revocation", certificate.name)]
    assert situation.attention_count == 1

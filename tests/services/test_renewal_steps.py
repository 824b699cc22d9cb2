"""The renewal line on the private CA: from waiting to done, and what stops it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.domain.certificate import read_facts, same_public_key, split_pem
from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.domain.spec import Grade
from portal.extensions import db
from portal.models.account import Contact
from portal.models.certificate import Certificate, Source
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.services import renewing
from portal.services.driving import drive
from portal.services.private_keys import open_certificate_key
from portal.services.renewal_steps import KIND
from tests.factories import Cast, Factory


@pytest.fixture
def contact(factory: Factory, cast: Cast) -> Contact:
    return factory.contact(cast.organisation)


def run(renewal: Renewal, now: datetime) -> Renewal:
    drive(KIND, renewal.id, lambda: now)
    db.session.expire_all()
    return db.session.get_one(Renewal, renewal.id)


def notices() -> list[tuple[NoticeKind, str]]:
    query = select(Notice.kind, Notice.recipient).order_by(Notice.kind, Notice.recipient)
    return [(kind, recipient) for kind, recipient in db.session.execute(query)]


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048"])
def test_a_due_renewal_is_issued_and_takes_over(
    factory: Factory, cast: Cast, contact: Contact, now: datetime, key_type: str
) -> None:
    predecessor = factory.certificate(cast.organisation, names=("shop.example.com",), key_type=key_type)
    hosting = factory.hosting(predecessor)
    renewal = run(factory.renewal(hosting, due=now), now)
    assert renewal.state is RenewalState.DONE
    successor = renewal.successor
    assert successor is not None
    assert successor.source is Source.ISSUED
    assert (successor.predecessor_id, successor.version) == (predecessor.id, predecessor.version + 1)
    assert successor.names == ["shop.example.com"]
    assert successor.spec == predecessor.spec
    assert successor.key_type == key_type
    assert successor.sha256 != predecessor.sha256
    chain = split_pem(successor.fullchain_pem)
    assert read_facts(chain[0]).sha256 == successor.sha256
    assert same_public_key(open_certificate_key(successor).public_key(), chain[0].public_key())
    assert not same_public_key(chain[0].public_key(), split_pem(predecessor.leaf_pem)[0].public_key())
    assert db.session.get_one(Hosting, hosting.id).certificate_id == successor.id
    assert db.session.get_one(Certificate, predecessor.id).replaced_at == now
    assert renewal.private_key is None
    assert notices() == [(NoticeKind.PLEASE_INSTALL, "ops@example.com")]


def test_the_paid_term_is_filled_and_then_completed(
    factory: Factory, cast: Cast, contact: Contact, now: datetime
) -> None:
    predecessor = factory.certificate(
        cast.organisation, lifetime=timedelta(days=90), expires_in=timedelta(days=10)
    )
    hosting = factory.hosting(predecessor)
    at, issued = now, 0
    renewing.schedule_next(hosting, predecessor, now)
    db.session.commit()
    while (
        issued < 9
        and (coming := db.session.scalar(select(Renewal).where(Renewal.state == RenewalState.WAITING)))
        is not None
    ):
        assert coming.next_attempt_at is not None
        at = max(at, coming.next_attempt_at)
        with time_machine.travel(at, tick=False):
            assert run(coming, at).state is RenewalState.DONE
        issued += 1
    assert issued == 3
    last = db.session.get_one(Hosting, hosting.id)
    assert last.state is HostingState.COMPLETED
    assert last.certificate.not_after >= hosting.coverage_ends_at


def test_another_specification_ends_in_hosting_failed_with_the_parts_named(
    factory: Factory, cast: Cast, contact: Contact, now: datetime
) -> None:
    predecessor = factory.certificate(cast.organisation)
    hosting = factory.hosting(predecessor, factory.product(grade=Grade.ADVANCED))
    renewal = run(factory.renewal(hosting, due=now), now)
    assert renewal.state is RenewalState.WAITING
    assert (renewal.error_code, renewal.error_params) == ("spec_mismatch", {"parts": "grade"})
    assert db.session.get_one(Hosting, hosting.id).state is HostingState.FAILED
    assert notices() == [
        (NoticeKind.HOSTING_FAILED, "olga@example.com"),
        (NoticeKind.HOSTING_FAILED, "ops@example.com"),
    ]


def test_a_ca_that_is_slow_is_asked_again_later_and_nothing_sleeps(
    factory: Factory, cast: Cast, contact: Contact, now: datetime
) -> None:
    account = factory.ca_account(config={"validation_seconds": "30"})
    hosting = factory.hosting(factory.certificate(cast.organisation), factory.product(ca_account=account))
    renewal = run(factory.renewal(hosting, due=now), now)
    assert renewal.state is RenewalState.VALIDATING
    assert renewal.next_attempt_at is not None
    assert renewal.next_attempt_at > now
    assert renewal.attempts == 0


def test_a_paused_ca_is_waited_for(factory: Factory, cast: Cast, contact: Contact, now: datetime) -> None:
    account = factory.ca_account()
    account.paused_at = now
    hosting = factory.hosting(factory.certificate(cast.organisation), factory.product(ca_account=account))
    renewal = run(factory.renewal(hosting, due=now), now)
    assert (renewal.state, renewal.error_code, renewal.order_url) == (RenewalState.KEYED, "ca_paused", None)
    account = db.session.get_one(type(account), account.id)
    account.paused_at = None
    db.session.commit()
    assert renewal.next_attempt_at is not None
    assert run(renewal, renewal.next_attempt_at).state is RenewalState.DONE


def test_an_order_that_the_ca_forgot_is_made_anew_with_the_same_key(
    factory: Factory, cast: Cast, contact: Contact, now: datetime
) -> None:
    hosting = factory.hosting(factory.certificate(cast.organisation))
    account = factory.ca_account(config={"validation_seconds": "30"})
    hosting.product.ca_account_id = account.id
    db.session.commit()
    renewal = run(factory.renewal(hosting, due=now), now)
    csr = renewal.csr_pem
    renewal.order_url = "private:forgotten"
    renewal.next_attempt_at = now
    db.session.commit()
    again = run(renewal, now)
    assert (again.state, again.order_url, again.error_code) == (RenewalState.KEYED, None, "ca_order_gone")
    assert again.csr_pem == csr
    assert again.next_attempt_at is not None
    assert again.next_attempt_at > now


def test_a_cancelled_hosting_is_not_renewed(
    factory: Factory, cast: Cast, contact: Contact, now: datetime
) -> None:
    hosting = factory.hosting(factory.certificate(cast.organisation), state=HostingState.CANCELLED)
    renewal = run(factory.renewal(hosting, due=now), now)
    assert (renewal.state, renewal.error_code) == (RenewalState.WAITING, "hosting_not_active")


def test_two_renewals_of_one_sequence_cannot_be(factory: Factory, cast: Cast, now: datetime) -> None:
    from sqlalchemy.exc import IntegrityError

    hosting = factory.hosting(factory.certificate(cast.organisation))
    factory.renewal(hosting, sequence=1)
    with pytest.raises(IntegrityError):
        factory.renewal(hosting, sequence=1)
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(Renewal)) == 1

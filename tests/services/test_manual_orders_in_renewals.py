"""A renewal whose CA has no interface: from waiting to done through an operator's hands."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.domain.manual_order import ManualOrderState
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.domain.spec import ValidationType
from portal.models.alarm import Alarm
from portal.models.authority import ManualOrder
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.services import manual_order_pages, manual_orders, renewing
from portal.services.acting import Actor
from portal.services.driving import drive
from portal.services.renewal_steps import KIND
from tests import pki
from tests.factories import Cast, Factory
from tests.services.manual import OV_POLICY

Db = scoped_session[Session]
NAMES = ("pay.example.com",)
APPLICANT = {"organisation": "Acme"}


@pytest.fixture
def renewal(factory: Factory, cast: Cast, now: datetime) -> Renewal:
    """One of an OV certificate, due now."""
    account = factory.ca_account("CFCA OV", kind="manual")
    certificate = factory.certificate(
        cast.organisation, names=NAMES, validation_type=ValidationType.OV, brand="cfca"
    )
    certificate.applicant = APPLICANT
    product = factory.product(ca_account=account, validation_type=ValidationType.OV, brand="cfca")
    return factory.renewal(factory.hosting(certificate, product), due=now)


@pytest.fixture
def olga(cast: Cast) -> Actor:
    return Actor(cast.olga.id, "")


def run(renewal: Renewal, now: datetime, session: Db) -> Renewal:
    drive(KIND, renewal.id, lambda: now)
    session.expire_all()
    return session.get_one(Renewal, renewal.id)


def answer_to(order_id: str) -> str:
    """What the CA issues for the order's CSR, pasted later by an operator."""
    csr = x509.load_pem_x509_csr((manual_orders.get(order_id).csr_pem or "").encode())
    model = pki.make_certificate(NAMES, policy_oids=(OV_POLICY,), expires_in=timedelta(days=190))
    builder = x509.CertificateBuilder(
        model.leaf.issuer, model.leaf.subject, csr.public_key(), x509.random_serial_number()
    )
    builder = builder.not_valid_before(model.leaf.not_valid_before_utc)
    builder = builder.not_valid_after(model.leaf.not_valid_after_utc)
    for extension in model.leaf.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    leaf = builder.sign(pki.test_ca().key, hashes.SHA256())
    return pki.to_pem([leaf, *model.intermediates])


def test_it_waits_for_people_and_goes_on_as_soon_as_they_are_done(
    renewal: Renewal, olga: Actor, now: datetime, session: Db
) -> None:
    waiting = run(renewal, now, session)
    assert (waiting.state, waiting.stopped_at) == (RenewalState.FINALIZING, None)
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at > now + timedelta(minutes=50)
    (line,) = manual_order_pages.list_open()
    assert (line.organisation, line.deadline) == ("Acme", waiting.predecessor.not_after)
    assert dict(manual_order_pages.read(line.id).applicant) == APPLICANT
    alarm = session.scalars(select(Alarm).where(Alarm.subject_id == line.id)).one()
    assert (alarm.params["name"], alarm.params["days"]) == ("pay.example.com", 9)

    manual_orders.paste(line.id, answer_to(line.id), "CFCA-1", olga, now)
    done = run(renewal, now, session)
    assert done.state is RenewalState.DONE
    assert done.successor is not None
    assert (done.successor.applicant, done.successor.validation_type) == (APPLICANT, ValidationType.OV)
    session.refresh(alarm)
    assert alarm.cleared_at is not None
    assert [one.state for one in session.scalars(select(ManualOrder))] == [ManualOrderState.ISSUED]


def test_looking_again_while_it_waits_orders_nothing_more(
    renewal: Renewal, now: datetime, session: Db
) -> None:
    first = run(renewal, now, session).order_url
    again = run(renewal, now + timedelta(hours=2), session)
    assert (again.order_url, again.state) == (first, RenewalState.FINALIZING)
    assert len(session.scalars(select(ManualOrder)).all()) == 1


def test_a_refusal_stops_it_in_the_operators_words_and_trying_again_orders_for_the_same_key(
    renewal: Renewal, olga: Actor, now: datetime, session: Db
) -> None:
    csr = run(renewal, now, session).csr_pem
    (line,) = manual_order_pages.list_open()
    manual_orders.refuse(line.id, "营业执照已过期", olga, now)
    stopped = run(renewal, now, session)
    assert (stopped.state, stopped.stopped_at) == (RenewalState.KEYED, now)
    assert stopped.error_code == "ca_order_refused"
    assert stopped.error_params == {"name": "pay.example.com", "said": "营业执照已过期"}
    told = session.scalars(select(Notice).where(Notice.kind == NoticeKind.ACTION_REQUIRED)).all()
    assert {one.recipient for one in told} == {"alice@example.com", "olga@example.com"}

    later = now + timedelta(hours=3)
    renewing.start_now(renewal.id, olga.id, "mended", later)
    again = run(renewal, later, session)
    assert (again.state, again.stopped_at, again.csr_pem) == (RenewalState.FINALIZING, None, csr)
    (anew,) = manual_order_pages.list_open()
    assert anew.id != line.id
    assert manual_order_pages.read(line.id).renewal is not None

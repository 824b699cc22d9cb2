"""Fault 20, revoked; and a key that leaked: replaced, live, then revoked, with what was paid for kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.certificate import same_public_key, split_pem
from portal.domain.due import DueReason
from portal.domain.hosting import HostingState
from portal.domain.renewal import RenewalState
from portal.domain.replacement import ReplacementState
from portal.domain.revocation import RevocationReason, RevocationState
from portal.extensions import db
from portal.models.authority import CaRevocation, MassReplacement, Revocation
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.services import ca_accounts, replacing, revoking
from portal.services.acting import Actor
from portal.services.revocation_steps import INSTALL_WITHIN

WEEK = timedelta(days=7)


@pytest.fixture
def hosting(world) -> Hosting:
    """Paid, renewed once by the private CA."""
    world.pay_for("shop.example.com")
    world.settle()
    made = db.session.scalars(select(Hosting)).one()
    assert made.certificate.version == 2
    return made


def fresh(hosting: Hosting) -> Hosting:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Hosting, hosting.id)


def key_of(certificate: Certificate):
    return split_pem(certificate.leaf_pem)[0].public_key()


def test_a_certificate_revoked_at_its_ca_is_replaced_within_a_day(world, hosting):
    """Fault 20: nobody told us; the list did."""
    victim, issued = hosting.certificate, hosting.renewals[-1]
    account = db.session.get_one(CaAccount, victim.ca_account_id)
    ca_accounts.connect(account).revoke(victim.leaf_pem, RevocationReason.KEY_COMPROMISE.value)
    world.settle(timedelta(days=1, minutes=10))
    hosting = fresh(hosting)
    assert hosting.certificate.version == 3
    assert hosting.certificate.predecessor_id == victim.id
    assert db.session.get_one(Certificate, victim.id).revoked_at is not None
    renewal = db.session.scalars(select(Renewal).where(Renewal.predecessor_id == victim.id)).one()
    assert (renewal.state, renewal.due_reason) == (RenewalState.DONE, DueReason.REVOKED)
    assert renewal.id == issued.id
    assert "certificate_revoked" not in world.open_alarms()
    world.settle(WEEK)
    assert fresh(hosting).certificate.version == 3


def test_a_leaked_key_is_replaced_then_revoked_and_the_paid_renewal_is_kept(world, hosting):
    leaked, ends_at, waiting = hosting.certificate, hosting.coverage_ends_at, hosting.renewals[-1]
    actor = Actor(world.cast.alice.id, world.cast.organisation.id)
    revoking.revoke(leaked.id, RevocationReason.KEY_COMPROMISE, actor, world.clock.now)
    world.settle(timedelta(hours=1))
    hosting = fresh(hosting)
    assert hosting.certificate.predecessor_id == leaked.id
    assert not same_public_key(key_of(hosting.certificate), key_of(leaked))
    revocation = db.session.scalars(select(Revocation)).one()
    assert (revocation.state, revocation.renewal_id) == (RevocationState.AWAITING, waiting.id)
    world.settle(INSTALL_WITHIN)
    assert fresh(hosting).state is HostingState.HOSTED
    db.session.refresh(revocation)
    assert revocation.state is RevocationState.REVOKED
    line = db.session.scalars(select(CaRevocation)).one()
    assert (line.serial, line.reason) == (leaked.serial, 1)
    assert fresh(hosting).coverage_ends_at == ends_at
    assert [one.state for one in hosting.renewals[-1:]] == [RenewalState.WAITING]
    world.settle(WEEK)
    assert fresh(hosting).certificate.revoked_at is None


def test_everything_of_a_ca_is_replaced_at_its_pace(world):
    account = world.factory.ca_account("troubled")
    for number in range(4):
        world.pay_for(f"{number}.example.com", account)
    world.settle()
    old = set(db.session.scalars(select(Hosting.certificate_id)))
    begun = world.clock.now + timedelta(seconds=1)
    world.clock.now = begun
    replacing.start("troubled", begun, 240, "the CA must revoke", "cli", begun)
    world.settle(timedelta(hours=1))
    assert not old & set(db.session.scalars(select(Hosting.certificate_id)))
    row = db.session.scalars(select(MassReplacement)).one()
    assert (row.state, row.started, row.total) == (ReplacementState.DONE, 4, 4)
    versions = db.session.scalars(select(Certificate.version).where(Certificate.replaced_at.is_(None)))
    assert set(versions) == {3}

"""A leaked key, in every stage that a renewal can be in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.domain.certificate import same_public_key
from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.keys import make_csr
from portal.domain.renewal import KeySource, RenewalState
from portal.models.hosting import Renewal
from portal.services.compromised_keys import forbid_reuse
from portal.services.keying import public_key_of
from portal.services.private_keys import open_renewal_key, renewal_key_place
from tests import pki

LEAKED = pki.key()


@pytest.fixture
def hosting(factory, cast, session):
    made = factory.hosting(factory.certificate(cast.organisation, expires_in=timedelta(days=150)))
    made.key_source = KeySource.REUSE
    session.commit()
    return made


@pytest.fixture
def begun(factory, hosting):
    """A renewal in a state, with this key behind its CSR."""

    def make(state: RenewalState, key=LEAKED, *, is_customers: bool = False) -> Renewal:
        csr = make_csr(hosting.certificate.names, key)
        renewal = factory.renewal(hosting, state=state, csr_pem=csr, fence=3, lease_owner="a worker")
        if not is_customers:
            renewal.private_key = factory.seal_key(key, renewal_key_place(renewal))
            factory.session.commit()
        return renewal

    return make


@pytest.mark.parametrize("state", ["keyed", "ordered", "presented", "validating"])
def test_a_key_that_the_ca_has_not_got_is_changed_in_place(hosting, begun, session, state):
    renewal = begun(RenewalState(state))
    forbid_reuse(hosting, renewal, hosting.certificate)
    session.commit()
    session.refresh(renewal)
    key = open_renewal_key(renewal)
    assert not same_public_key(key.public_key(), LEAKED.public_key())
    assert same_public_key(key.public_key(), public_key_of(renewal.csr_pem))
    assert (renewal.fence, renewal.lease_owner, renewal.state) == (4, None, RenewalState(state))


@pytest.mark.parametrize("state", ["validated", "finalizing", "issued"])
def test_once_the_ca_has_it_the_renewal_has_to_end_first(hosting, begun, session, state):
    renewal = begun(RenewalState(state))
    with pytest.raises(DomainError, match="renewal_under_way"):
        forbid_reuse(hosting, renewal, hosting.certificate)
    session.rollback()


@pytest.mark.parametrize("state", ["waiting", "started", "checked"])
def test_before_there_is_a_key_the_reason_says_that_it_must_be_new(hosting, factory, session, state):
    renewal = factory.renewal(hosting, state=RenewalState(state))
    forbid_reuse(hosting, renewal, hosting.certificate)
    session.commit()
    assert renewal.due_reason is DueReason.KEY_COMPROMISE
    assert hosting.key_source is KeySource.NEW


def test_another_key_under_way_is_left_as_it_is(hosting, begun, session):
    renewal = begun(RenewalState.ORDERED, pki.key("ec-p256", 5))
    before = renewal.csr_pem
    forbid_reuse(hosting, renewal, hosting.certificate)
    session.commit()
    assert (renewal.csr_pem, renewal.fence) == (before, 3)


def test_a_customers_own_request_stays_theirs(hosting, begun, session):
    hosting.key_source, hosting.csr_pem = KeySource.CSR, make_csr(hosting.certificate.names, LEAKED)
    session.commit()
    renewal = begun(RenewalState.ORDERED, is_customers=True)
    with pytest.raises(DomainError, match="renewal_under_way"):
        forbid_reuse(hosting, renewal, hosting.certificate)
    session.rollback()

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from portal.domain.hosting import HostingState

RUNNING = {HostingState.HOSTED, HostingState.FAILED}


@pytest.fixture
def product(factory):
    return factory.product(ca_account=factory.ca_account(secrets={}))


@pytest.fixture
def certificate(factory, cast):
    return factory.certificate(cast.organisation)


@pytest.mark.parametrize("state", HostingState)
def test_a_certificate_has_one_running_hosting_at_most(session, factory, certificate, product, state):
    factory.hosting(certificate, product, state=state)
    if state not in RUNNING:
        factory.hosting(certificate, product)
        return
    with pytest.raises(IntegrityError):
        factory.hosting(certificate, product)
    session.rollback()


def test_renewals_of_a_hosting_are_numbered_once(session, factory, certificate, product):
    hosting = factory.hosting(certificate, product)
    factory.renewal(hosting)
    assert [one.sequence for one in hosting.renewals] == [1]
    with pytest.raises(IntegrityError):
        factory.renewal(hosting, sequence=1)
    session.rollback()


def test_a_waiting_renewal_is_due_by_the_rule(factory, certificate, product):
    renewal = factory.renewal(factory.hosting(certificate, product))
    assert certificate.not_before < renewal.next_attempt_at < certificate.not_after

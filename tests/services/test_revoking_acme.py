"""Revoking at an ACME server: revokeCert in the account's name (RFC 8555, 7.6), twice over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.domain.certificate import split_pem
from portal.domain.keys import make_csr
from portal.domain.revocation import RevocationReason, RevocationState
from portal.extensions import db
from portal.models.authority import Revocation
from portal.models.certificate import Certificate, Source
from portal.services import ca_accounts, revoking
from portal.services.acting import Actor
from portal.services.driving import drive
from tests import pki
from tests.pebble import Pebble, pebble
from tests.servers import wait_until

NAMES = ("shop.example.com",)


@pytest.fixture(scope="module")
def server() -> Iterator[Pebble]:
    with pebble(environment={"PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_WFE_NONCEREJECT": "20"}) as running:
        yield running


@pytest.fixture
def account(factory, server):
    return factory.ca_account(
        kind="acme", config={"directory_url": server.directory_url, "ca_bundle": server.ca_bundle}
    )


@pytest.fixture
def certificate(factory, cast, account) -> Certificate:
    """Really issued there."""
    ca_accounts.ensure_registered(account)
    ca, key = ca_accounts.connect(account), pki.key()
    csr, url = make_csr(NAMES, key), ca.new_order(NAMES).url
    for authorization in ca.get_order(url).authorizations:
        ca.answer(authorization.challenges[0])
    wait_for(ca, url, "ready")
    ca.finalize(url, csr)
    wait_for(ca, url, "valid")
    chain = split_pem(ca.download(url, csr))
    made = pki.Made(chain[0], chain[1:], chain[-1], key)
    return factory.certificate(cast.organisation, made, source=Source.ISSUED, ca_account=account)


def wait_for(ca, url, state) -> None:
    wait_until(lambda: ca.get_order(url).state.value == state, 10, state)


def test_it_is_revoked_there_and_once_more_counts_as_done(certificate, cast, server, now):
    actor = Actor(cast.alice.id, cast.organisation.id)
    revocation = revoking.revoke(certificate.id, RevocationReason.SUPERSEDED, actor, now)
    drive(revoking.KIND, revocation.id, lambda: now)
    db.session.expire_all()
    row = db.session.get_one(Revocation, revocation.id)
    assert (row.state, row.error_code) == (RevocationState.REVOKED, None)
    # A crash between the CA's answer and our note of it: asked again, the CA says that it is revoked already.
    row.state, row.next_attempt_at = RevocationState.REQUESTED, now
    db.session.commit()
    drive(revoking.KIND, revocation.id, lambda: now)
    db.session.expire_all()
    assert db.session.get_one(Revocation, revocation.id).state is RevocationState.REVOKED
    assert certificate.serial.lstrip("0") in server.log.lower()

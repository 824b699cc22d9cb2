"""The jobs behind revocations and revocation lists."""

from __future__ import annotations

from sqlalchemy import select

from jobs import revocation
from portal.domain.revocation import RevocationReason, RevocationState
from portal.extensions import db
from portal.models.authority import CrlSource, Revocation
from portal.models.certificate import Certificate, Source
from portal.services import crl_watching, revoking
from portal.services.acting import Actor
from tests import pki
from tests.crls import crl_server, make_crl, points


def test_a_list_that_is_due_is_read_and_acted_on(factory, cast):
    with crl_server() as server:
        certificate = factory.certificate(
            cast.organisation, pki.make_certificate(extensions=[points(server.url)])
        )
        crl_watching.watch(certificate)
        db.session.commit()
        server.body = make_crl({int(certificate.serial, 16): 1})
        (source_id,) = db.session.scalars(select(CrlSource.id))
        revocation.read_crls(source_id)
        revocation.read_crls(source_id)
        assert len(server.asked) == 1
    db.session.expire_all()
    assert db.session.get_one(Certificate, certificate.id).revoked_at is not None


def test_a_revocation_is_driven_as_far_as_it_goes(factory, cast, now):
    account = factory.ca_account()
    certificate = factory.certificate(cast.organisation, source=Source.ISSUED, ca_account=account)
    actor = Actor(cast.alice.id, cast.organisation.id)
    asked = revoking.revoke(certificate.id, RevocationReason.SUPERSEDED, actor, now)
    revocation.advance(asked.id, "nothing")
    db.session.expire_all()
    row = db.session.get_one(Revocation, asked.id)
    # The account never issued it, and says so.
    assert (row.state, row.error_code) == (RevocationState.REQUESTED, "ca_refused")

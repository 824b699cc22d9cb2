"""The job behind mass replacements."""

from __future__ import annotations

from datetime import timedelta

from jobs import replacement
from portal.extensions import db
from portal.models.authority import MassReplacement
from portal.models.certificate import Source
from portal.services import replacing


def test_a_portion_is_taken_once_however_often_the_job_runs(factory, cast, now):
    account = factory.ca_account("troubled")
    product = factory.product(ca_account=account)
    factory.now = now - timedelta(hours=1)
    for number in range(3):
        certificate = factory.certificate(
            cast.organisation, names=[f"{number}.example.com"], source=Source.ISSUED, ca_account=account
        )
        factory.renewal(factory.hosting(certificate, product))
    row = replacing.start("troubled", now, 60, "why", "cli", now)
    for _ in range(3):
        replacement.advance(row.id)
    db.session.expire_all()
    assert db.session.get_one(MassReplacement, row.id).started == 1

"""A certificate of Alice's organisation in every stage, for the pages that show it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from portal.domain.deployment import DeploymentState
from portal.domain.renewal import RenewalState
from portal.extensions import db
from tests import pki


@pytest.fixture
def product(factory):
    factory.price_book()
    return factory.product()


@pytest.fixture
def certificate(factory, cast, product):
    """One without hosting that expires in 10 days."""
    return factory.certificate(cast.organisation)


@pytest.fixture
def renewal(factory, cast, product, now):
    """A renewal that is being deployed to a target which refuses."""
    old = factory.certificate(cast.organisation, pki.make_certificate(["img.example.com"], now=now))
    new = factory.certificate(
        cast.organisation,
        pki.make_certificate(["img.example.com"], now=now, expires_in=timedelta(days=199)),
        predecessor=old,
    )
    hosting = factory.hosting(old, product)
    renewal = factory.renewal(hosting, state=RenewalState.DEPLOYING, successor_id=new.id)
    target = factory.target(factory.cloud_account(cast.organisation), "img.example.com", certificate=old)
    factory.deployment(
        target,
        new,
        state=DeploymentState.PENDING,
        due=timedelta(hours=1),
        renewal_id=renewal.id,
        error_code="cloud_permission",
        stopped_at=now,
    )
    return renewal


@pytest.fixture
def counted_queries(app):
    """How many statements a call sends to the database."""
    engine = db.engine

    def count(call):
        sent = []

        def note(*_args):
            sent.append(1)

        event.listen(engine, "before_cursor_execute", note)
        try:
            assert call().status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return len(sent)

    return count

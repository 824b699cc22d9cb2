"""A gateway, and an order of Alice's organisation."""

from __future__ import annotations

import pytest

from portal.services import buying
from portal.services.acting import Actor
from tests import gateway as gate


@pytest.fixture
def sandbox(tmp_path):
    with gate.sandbox_gateway(tmp_path / "trades") as running:
        yield running


@pytest.fixture
def overrides(sandbox):
    return {"payment_sandbox_url": sandbox.url}


@pytest.fixture
def certificate(factory, cast):
    factory.price_book()
    factory.product()
    return factory.certificate(cast.organisation)


@pytest.fixture
def order(certificate, cast, now):
    return buying.place_order([certificate.id], 46_900, Actor(cast.alice.id, cast.organisation.id), now)

"""An order, its certificate and a running gateway. A test that takes none of them is not affected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.order import Order
from portal.sandbox.payment import SandboxPayment
from portal.services import buying, crl_watching
from portal.services.acting import Actor
from tests import gateway as gate
from tests import pki
from tests.crls import CrlServer, crl_server, make_crl, points
from tests.factories import Cast, Factory
from tests.services.rehearsal import Rehearsal, customer_zones
from tests.signed_zones import SignedZones


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxPayment]:
    with gate.sandbox_gateway(tmp_path / "trades") as running:
        yield running


@pytest.fixture
def actor(cast: Cast) -> Actor:
    return Actor(cast.alice.id, cast.organisation.id, "127.0.0.1")


@pytest.fixture
def certificate(factory: Factory, cast: Cast, now: datetime) -> Certificate:
    """One that expires in 10 days, of a specification that is sold."""
    factory.price_book()
    factory.product(price_fen=19_900)
    return factory.certificate(cast.organisation)


@pytest.fixture
def order(certificate: Certificate, actor: Actor, now: datetime) -> Order:
    return buying.place_order([certificate.id], 46_900, actor, now)


@pytest.fixture(scope="session")
def signed() -> Iterator[SignedZones]:
    """Customers' zones in BIND, one of each per xdist worker."""
    with customer_zones() as running:
        yield running


@pytest.fixture
def rehearsal(some_app: Flask, factory: Factory, cast: Cast, signed: SignedZones) -> Rehearsal:
    """Names of Alice's organisation, to be looked at through a resolver that validates."""
    some_app.extensions["settings"] = replace(some_app.extensions["settings"], dnssec_probe="customer.test")
    return Rehearsal(factory, cast.organisation, signed.resolver)


@pytest.fixture
def list_server() -> Iterator[CrlServer]:
    """A server of revocation lists, with an empty one of the usual CA."""
    with crl_server() as running:
        running.body = make_crl({})
        yield running


@pytest.fixture
def make_listed(
    factory: Factory, cast: Cast, list_server: CrlServer, now: datetime
) -> Callable[..., Certificate]:
    """Stores a certificate that names the list, and has it watched."""

    def made(**making: Any) -> Certificate:
        leaf = pki.make_certificate(now=now, extensions=[points(list_server.url)], **making)
        certificate = factory.certificate(cast.organisation, leaf)
        crl_watching.watch(certificate)
        db.session.commit()
        return certificate

    return made

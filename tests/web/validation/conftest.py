"""Alice's certificate, whose names are to be proved to a CA that validates; and Charlie's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from portal.domain.spec import DomainType
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting
from portal.services import hosting_checks
from tests.factories import Cast, Factory
from tests.services.rehearsal import SHOP, Rehearsal, customer_zones
from tests.signed_zones import SignedZones


@pytest.fixture(scope="session")
def signed() -> Iterator[SignedZones]:
    """Customers' zones in BIND, one of each per xdist worker."""
    with customer_zones() as running:
        yield running


@pytest.fixture
def rehearsal(app: Flask, factory: Factory, cast: Cast, signed: SignedZones) -> Rehearsal:
    """An account at a CA that validates; names of Alice's are looked at through a resolver that does."""
    app.extensions["settings"] = replace(app.extensions["settings"], dnssec_probe="customer.test")
    rehearsal = Rehearsal(factory, cast.organisation, signed.resolver)
    factory.price_book()
    for domain_type in DomainType:
        factory.product(ca_account=rehearsal.account, domain_type=domain_type)
    return rehearsal


@pytest.fixture
def certificate(rehearsal: Rehearsal) -> Certificate:
    """SHOP and two names that are set up wrongly, without hosting."""
    names = (SHOP, "away.customer.test", "none.customer.test")
    return rehearsal.factory.certificate(rehearsal.organisation, names=names)


@pytest.fixture
def hosting(rehearsal: Rehearsal, certificate: Certificate) -> Hosting:
    """The same, hosted, its checks begun."""
    product = rehearsal.factory.product(ca_account=rehearsal.account)
    made = rehearsal.factory.hosting(certificate, product)
    hosting_checks.begin(made, rehearsal.now)
    db.session.commit()
    return made


@pytest.fixture
def theirs(rehearsal: Rehearsal, cast: Cast) -> Certificate:
    """A stranger's certificate."""
    return rehearsal.factory.certificate(cast.other_organisation, names=("secret.stranger.test",))

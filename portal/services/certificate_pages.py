"""Everything that the page of one certificate shows, read with a constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.domain import hosting as rules
from portal.domain.errors import DomainError
from portal.domain.term import PlannedIssuance, plan
from portal.extensions import db
from portal.models.authority import CrlSource, Revocation
from portal.models.catalogue import Product
from portal.models.certificate import Certificate
from portal.models.deployment import Deployment, DeploymentTarget
from portal.models.hosting import Hosting
from portal.services import catalogue, crl_watching, revoking, timelines
from portal.services.certificates import Link, chain_of, get_certificate, versions_of
from portal.services.hosting import ACTIVE, background, validity_of
from portal.services.listing import Row, rows_of
from portal.services.timelines import Timeline
from portal.services.validation_standings import CertificateView, views_of


@dataclass(frozen=True)
class Place:
    """A target where this certificate is, or is on its way to."""

    target: DeploymentTarget
    deployment: Deployment | None


@dataclass(frozen=True)
class HostingAdvice:
    """Whether hosting can be turned on; if not, why, and from when it can."""

    reason: DomainError | None
    opens_at: datetime | None


@dataclass(frozen=True)
class CertificatePage:
    """See the fields. `issuances` are what the paid term still brings after this certificate."""

    row: Row
    chain: tuple[Link, ...]
    versions: tuple[Certificate, ...]
    timelines: tuple[Timeline, ...]
    places: tuple[Place, ...]
    issuances: tuple[PlannedIssuance, ...]
    advice: HostingAdvice | None
    revocation: Revocation | None
    crl_source: CrlSource | None
    #: How its names stand; None where nothing renews it.
    validation: CertificateView | None

    @property
    def certificate(self) -> Certificate:
        return self.row.certificate

    @property
    def hosting(self) -> Hosting | None:
        return self.row.hosting

    @property
    def newest(self) -> Certificate:
        return self.versions[0]


def read(certificate_id: str, organisation_id: str, now: datetime) -> CertificatePage:
    """The page of a certificate of this organisation. Raises DomainError("certificate_not_found")."""
    certificate = get_certificate(certificate_id, organisation_id)
    (row,) = rows_of([certificate], now)
    products = catalogue.products_on_sale()
    return CertificatePage(
        row=row,
        chain=chain_of(certificate),
        versions=versions_of(certificate),
        timelines=timelines.for_certificate(certificate.id, now),
        places=_places(certificate),
        issuances=_issuances(row, now),
        advice=None if row.hosting else _advice(certificate, products, now),
        revocation=revoking.find_revocation(certificate.id),
        crl_source=crl_watching.find_source(certificate.crl_url),
        validation=views_of([certificate], now)[0] if row.hosting and row.hosting.state in ACTIVE else None,
    )


def _places(certificate: Certificate) -> tuple[Place, ...]:
    """Where it is by our records, and where it is being brought to."""
    account = joinedload(DeploymentTarget.cloud_account)
    served = (
        select(DeploymentTarget).where(DeploymentTarget.certificate_id == certificate.id).options(account)
    )
    deployed = select(Deployment).where(Deployment.certificate_id == certificate.id)
    deployed = deployed.options(joinedload(Deployment.target).joinedload(DeploymentTarget.cloud_account))
    found = {one.target_id: Place(one.target, one) for one in db.session.scalars(deployed)}
    for target in db.session.scalars(served):
        found.setdefault(target.id, Place(target, None))
    return tuple(sorted(found.values(), key=lambda place: (place.target.product, place.target.domain)))


def _issuances(row: Row, now: datetime) -> tuple[PlannedIssuance, ...]:
    certificate, hosting = row.certificate, row.hosting
    if hosting is None or certificate.replaced_at is not None:
        return ()
    product = db.session.get_one(Product, hosting.product_id)
    ends_at = hosting.coverage_ends_at
    first_due = row.renewal.next_attempt_at if row.renewal else None
    return plan(certificate.not_before, certificate.not_after, ends_at, now, validity_of(product), first_due)


def _advice(certificate: Certificate, products: Sequence[Product], now: datetime) -> HostingAdvice:
    product, reason = None, None
    try:
        product = catalogue.product_for(certificate, products)
    except DomainError as error:
        reason = error
    candidate = background([certificate.id]).candidate(certificate)
    days = catalogue.window_days(product)
    refused = rules.reason_against(candidate, days, now)
    if refused is None or refused.code == "window_not_open":
        return HostingAdvice(reason or refused, rules.opens_at(candidate.not_after, days))
    return HostingAdvice(refused, None)

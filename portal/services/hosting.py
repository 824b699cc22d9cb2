"""Turning hosting on: what it would cost and bring, and doing it once it is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import joinedload

from portal.domain import hosting as rules
from portal.domain.deployment import covers
from portal.domain.errors import DomainError
from portal.domain.hosting import Candidate, HostingState
from portal.domain.money import Money
from portal.domain.pricing import Line, total
from portal.domain.term import PlannedIssuance, end_for_existing, plan
from portal.extensions import db
from portal.models.catalogue import PriceBook, Product
from portal.models.certificate import Certificate, Source
from portal.models.deployment import DeploymentTarget
from portal.models.hosting import Hosting
from portal.services import catalogue

ACTIVE = (HostingState.HOSTED, HostingState.FAILED)

#: The most certificates that one order may turn hosting on for.
MOST_AT_ONCE = 20


@dataclass(frozen=True)
class Background:
    """What the rules need of some certificates beside their rows: who is hosted, until when earlier terms ran."""

    hosted_ids: frozenset[str]
    paid_until: Mapping[str, datetime]

    def expiry(self, certificate: Certificate) -> datetime:
        """The end of the paid term for a certificate issued here, notAfter for an upload (rule 4)."""
        if certificate.source is Source.UPLOADED:
            return certificate.not_after
        return self.paid_until.get(certificate.id, certificate.not_after)

    def candidate(self, certificate: Certificate) -> Candidate:
        """The certificate as the rules see it."""
        return Candidate(
            not_before=certificate.not_before,
            not_after=self.expiry(certificate),
            is_revoked=certificate.revoked_at is not None,
            is_hosted=certificate.id in self.hosted_ids,
            is_replaced=certificate.replaced_at is not None,
        )


@dataclass(frozen=True)
class Offer:
    """What turning hosting on for one certificate would be: the price, the term, what happens when and where."""

    certificate: Certificate
    product: Product
    lines: tuple[Line, ...]
    coverage_ends_at: datetime
    issuances: tuple[PlannedIssuance, ...]
    targets: tuple[DeploymentTarget, ...]

    @property
    def total(self) -> Money:
        return total(self.lines)


def background(certificate_ids: Sequence[str]) -> Background:
    """Load it for these certificates: two queries, however many they are."""
    hosted = select(Hosting.certificate_id).where(
        Hosting.certificate_id.in_(certificate_ids), Hosting.state.in_(ACTIVE)
    )
    terms = (
        select(Hosting.certificate_id, func.max(Hosting.coverage_ends_at))
        .where(Hosting.certificate_id.in_(certificate_ids), Hosting.state == HostingState.COMPLETED)
        .group_by(Hosting.certificate_id)
    )
    ended = {row[0]: row[1] for row in db.session.execute(terms)}
    return Background(frozenset(db.session.scalars(hosted)), ended)


def offers(certificate_ids: Sequence[str], organisation_id: str, now: datetime) -> tuple[Offer, ...]:
    """The offer for each certificate, in the order given.

    Raises DomainError: certificate_not_found, too_many_certificates, the codes of domain.hosting.TURN_ON_CHECKS,
    spec_unconfirmed, spec_not_sold, no_price_book; where a certificate is meant, `certificate_id` says which.
    """
    ids = tuple(dict.fromkeys(certificate_ids))
    if not 0 < len(ids) <= MOST_AT_ONCE:
        raise DomainError("too_many_certificates" if ids else "no_certificate_chosen", most=MOST_AT_ONCE)
    owned = select(Certificate).where(Certificate.organisation_id == organisation_id, Certificate.id.in_(ids))
    found = {certificate.id: certificate for certificate in db.session.scalars(owned)}
    if len(found) != len(ids):
        raise DomainError("certificate_not_found")
    known, products, book = background(ids), catalogue.products_on_sale(), catalogue.newest_price_book()
    targets = targets_of(tuple(found.values()))
    return tuple(_offer(found[one], known, products, book, targets.get(one, ()), now) for one in ids)


def _offer(
    certificate: Certificate,
    known: Background,
    products: Sequence[Product],
    book: PriceBook,
    targets: tuple[DeploymentTarget, ...],
    now: datetime,
) -> Offer:
    candidate = known.candidate(certificate)
    try:
        product = None if candidate.is_hosted else catalogue.product_for(certificate, products)
    except DomainError as error:
        raise DomainError(error.code, certificate_id=certificate.id) from None
    reason = rules.reason_against(candidate, catalogue.window_days(product), now)
    if reason is not None:
        raise DomainError(reason.code, **reason.params, certificate_id=certificate.id)
    assert product is not None
    ends_at = end_for_existing(candidate.not_after)
    issuances = plan(certificate.not_before, certificate.not_after, ends_at, now, validity_of(product))
    return Offer(certificate, product, catalogue.quote(product, book), ends_at, issuances, targets)


def validity_of(product: Product) -> timedelta | None:
    """How long the product's CA issues for, where its account says so; None means the public limits."""
    days = product.ca_account.config.get("validity_days")
    return timedelta(days=float(days)) if days else None


def targets_of(certificates: Sequence[Certificate]) -> dict[str, tuple[DeploymentTarget, ...]]:
    """Where each certificate is served, or may be (nothing is known of the target yet): where its successor goes."""
    query = (
        select(DeploymentTarget)
        .where(
            DeploymentTarget.organisation_id.in_({one.organisation_id for one in certificates}),
            DeploymentTarget.is_automatic,
            or_(
                DeploymentTarget.certificate_id.in_([one.id for one in certificates]),
                DeploymentTarget.certificate_id.is_(None),
            ),
        )
        .options(joinedload(DeploymentTarget.cloud_account))
        .order_by(DeploymentTarget.product, DeploymentTarget.domain)
    )
    found = db.session.scalars(query).all()
    return {one.id: tuple(target for target in found if _leads_to(one, target)) for one in certificates}


def _leads_to(certificate: Certificate, target: DeploymentTarget) -> bool:
    if target.certificate_id is not None:
        return target.certificate_id == certificate.id
    return covers(tuple(certificate.names), target.domain)

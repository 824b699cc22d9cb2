"""Turning hosting on: what it would cost and bring, and doing it once it is paid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.domain import hosting as rules
from portal.domain.errors import DomainError
from portal.domain.hosting import Candidate, HostingState
from portal.domain.money import Money
from portal.domain.notices import NoticeKind
from portal.domain.pricing import Line, total
from portal.domain.spec import differing_parts
from portal.domain.term import PlannedIssuance, end_for_existing, plan
from portal.extensions import db
from portal.models.catalogue import PriceBook, Product
from portal.models.certificate import Certificate, Source
from portal.models.deployment import DeploymentTarget
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting
from portal.models.order import OrderLine
from portal.models.types import new_id
from portal.services import catalogue
from portal.services.noticing import tell
from portal.services.renewing import schedule_next

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
    targets = targets_of(ids)
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
    issuances = plan(certificate.not_before, certificate.not_after, ends_at, validity_of(product))
    return Offer(certificate, product, catalogue.quote(product, book), ends_at, issuances, targets)


def validity_of(product: Product) -> timedelta | None:
    """How long the product's CA issues for, where its account says so; None means the public limits."""
    days = product.ca_account.config.get("validity_days")
    return timedelta(days=float(days)) if days else None


def targets_of(certificate_ids: Sequence[str]) -> dict[str, tuple[DeploymentTarget, ...]]:
    """Where each certificate is served now: what its successor will be deployed to."""
    query = (
        select(DeploymentTarget)
        .where(DeploymentTarget.certificate_id.in_(certificate_ids))
        .options(joinedload(DeploymentTarget.cloud_account))
        .order_by(DeploymentTarget.product, DeploymentTarget.domain)
    )
    found: dict[str, tuple[DeploymentTarget, ...]] = {}
    for target in db.session.scalars(query):
        if target.certificate_id is not None:
            found[target.certificate_id] = (*found.get(target.certificate_id, ()), target)
    return found


def check_still_possible(lines: Iterable[OrderLine]) -> None:
    """Raise DomainError where paid hosting cannot be turned on any more: already_hosted, certificate_revoked,
    certificate_replaced. A window that closed since the order was made does not matter: the money came in time.
    """
    certificates = [line.certificate for line in lines]
    known = background([certificate.id for certificate in certificates])
    for certificate in certificates:
        reason = rules.reason_against(known.candidate(certificate), 0, certificate.not_before)
        if reason is not None:
            raise DomainError(reason.code, certificate_id=certificate.id)


def turn_on(line: OrderLine, organisation_id: str, actor: str, now: datetime) -> Hosting:
    """Create the hosting that a paid line is for, with its first renewal (未激活), in the caller's transaction.

    Where the product's specification is no longer the certificate's, the hosting is there and failed (托管失败), and
    the history names the parts that differ (rule 6).
    """
    certificate, product = line.certificate, line.product
    differing = differing_parts(product.spec, certificate.spec) if certificate.spec else ("spec",)
    state = HostingState.FAILED if differing else HostingState.HOSTED
    expiry = background([certificate.id]).expiry(certificate)
    hosting = Hosting(
        id=new_id(),
        organisation_id=organisation_id,
        certificate_id=certificate.id,
        product_id=product.id,
        order_line_id=line.id,
        state=state,
        coverage_ends_at=end_for_existing(expiry, line.quantity),
        created_at=now,
    )
    db.session.add(hosting)
    db.session.flush()
    _note(hosting, actor, differing, now)
    if state is HostingState.HOSTED:
        schedule_next(hosting, certificate, now)
    _tell(hosting, certificate, differing, now)
    return hosting


def _note(hosting: Hosting, actor: str, differing: Sequence[str], now: datetime) -> None:
    entry = HistoryEntry(
        subject_type="hostings",
        subject_id=hosting.id,
        from_state="",
        event="turn_on",
        to_state=hosting.state.value,
        actor=actor,
        reason="spec_mismatch" if differing else None,
        params={"parts": ", ".join(differing)} if differing else None,
        at=now,
    )
    db.session.add(entry)


def _tell(hosting: Hosting, certificate: Certificate, differing: Sequence[str], now: datetime) -> None:
    params = {"name": certificate.name, "names": list(certificate.names), "certificate_id": certificate.id}
    if differing:
        kind, extra = (
            NoticeKind.HOSTING_FAILED,
            {"error_code": "spec_mismatch", "parts": ", ".join(differing)},
        )
    else:
        ends_at = hosting.coverage_ends_at.isoformat()
        kind, extra = NoticeKind.HOSTING_TURNED_ON, {"coverage_ends_at": ends_at}
    tell(
        db.session(),
        hosting.organisation_id,
        kind,
        subject_type="hostings",
        subject_id=hosting.id,
        params={**params, **extra},
        now=now,
    )

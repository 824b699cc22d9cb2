"""The list of certificates: narrowed, searched, paged by key, each row with what speaks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select

from portal.domain import hosting as rules
from portal.domain.hosting import CertificateState, HostingState, Standing, certificate_state
from portal.domain.renewal import RenewalState
from portal.domain.spec import Spec
from portal.extensions import db
from portal.models.certificate import Certificate, Source
from portal.models.deployment import Deployment
from portal.models.hosting import Hosting, Renewal
from portal.services import catalogue
from portal.services.hosting import ACTIVE
from portal.services.paging import Cursor, Page, after, page_of

PAGE_SIZE = 25

#: What the list's filter calls expiring: the longest lead time, so that nothing due is left out.
SOON = timedelta(days=30)


class Show(StrEnum):
    """What the list can be narrowed to. Replaced certificates appear under HISTORY alone."""

    ALL = "all"
    HOSTED = "hosted"
    NOT_HOSTED = "not_hosted"
    EXPIRING = "expiring"
    ATTENTION = "attention"
    EXPIRED = "expired"
    HISTORY = "history"


@dataclass(frozen=True)
class Filter:
    """`text` is looked for in the names and the certificate's own name."""

    show: Show = Show.ALL
    text: str = ""
    source: Source | None = None


@dataclass(frozen=True)
class Row:
    """A certificate as lists show it. `renewal` is the one that will replace it: the 未激活 row beneath."""

    certificate: Certificate
    state: CertificateState
    hosting: Hosting | None = None
    renewal: Renewal | None = None
    #: From when hosting can be turned on; None where it cannot, or is.
    opens_at: datetime | None = None

    @property
    def needs_action(self) -> bool:
        return self.state in (CertificateState.ACTION_REQUIRED, CertificateState.HOSTING_FAILED)


def list_certificates(
    organisation_id: str, narrow: Filter, cursor: Cursor | None, now: datetime
) -> Page[Row]:
    """A page of certificates, the soonest expiry first: five queries, however many rows."""
    query = (
        select(Certificate)
        .where(Certificate.organisation_id == organisation_id, *_conditions(narrow, now))
        .order_by(Certificate.not_after, Certificate.id)
    )
    query = after(query, Certificate.not_after, Certificate.id, cursor)
    found = db.session.scalars(query.limit(PAGE_SIZE + 1)).all()
    page = page_of(found, PAGE_SIZE, lambda row: row.not_after)
    return Page(rows_of(page.rows, now), page.next)


def _conditions(narrow: Filter, now: datetime) -> list[ColumnElement[bool]]:
    is_current = (
        Certificate.replaced_at.is_not(None)
        if narrow.show is Show.HISTORY
        else Certificate.replaced_at.is_(None)
    )
    conditions: list[ColumnElement[bool]] = [is_current]
    if narrow.source is not None:
        conditions.append(Certificate.source == narrow.source)
    if text := narrow.text.strip().lower():
        found = Certificate.names_text.contains(text, autoescape=True)
        conditions.append(or_(found, Certificate.name.icontains(text, autoescape=True)))
    extra = _narrowed(narrow.show, now)
    return conditions if extra is None else [*conditions, extra]


def _narrowed(show: Show, now: datetime) -> ColumnElement[bool] | None:
    hosted = exists().where(Hosting.certificate_id == Certificate.id, Hosting.state.in_(ACTIVE))
    match show:
        case Show.HOSTED:
            return hosted
        case Show.NOT_HOSTED:
            return and_(~hosted, Certificate.not_after > now)
        case Show.EXPIRING:
            return and_(~hosted, Certificate.not_after > now, Certificate.not_after <= now + SOON)
        case Show.EXPIRED:
            return Certificate.not_after <= now
        case Show.ATTENTION:
            return needs_attention()
    return None


def needs_attention() -> ColumnElement[bool]:
    """Hosting that failed, a renewal or a deployment that waits for a person."""
    failed = exists().where(Hosting.certificate_id == Certificate.id, Hosting.state == HostingState.FAILED)
    stopped = exists().where(Renewal.predecessor_id == Certificate.id, Renewal.stopped_at.is_not(None))
    stuck = exists().where(Deployment.certificate_id == Certificate.id, Deployment.stopped_at.is_not(None))
    return or_(failed, stopped, stuck)


def rows_of(certificates: Sequence[Certificate], now: datetime) -> tuple[Row, ...]:
    """Certificates with their hosting and coming renewal: four queries for all of them."""
    ids = [certificate.id for certificate in certificates]
    hostings = _by_certificate(
        select(Hosting).where(Hosting.certificate_id.in_(ids)).order_by(Hosting.created_at)
    )
    renewals = {
        renewal.predecessor_id: renewal
        for renewal in db.session.scalars(
            select(Renewal).where(Renewal.predecessor_id.in_(ids), Renewal.state != RenewalState.CANCELLED)
        )
    }
    stuck = select(Deployment.certificate_id).where(
        Deployment.certificate_id.in_(ids), Deployment.stopped_at.is_not(None)
    )
    stuck_ids = set(db.session.scalars(stuck))
    rows = [
        _row(one, hostings.get(one.id), renewals.get(one.id), one.id in stuck_ids, now)
        for one in certificates
    ]
    windows = {product.spec: catalogue.window_days(product) for product in catalogue.products_on_sale()}
    return tuple(replace(row, opens_at=_opens_at(row, windows, now)) for row in rows)


def _opens_at(row: Row, windows: Mapping[Spec, int], now: datetime) -> datetime | None:
    """From when hosting can be turned on; while a specification is unconfirmed the installation's window holds."""
    certificate = row.certificate
    is_over = certificate.not_after <= now or certificate.replaced_at or certificate.revoked_at
    is_hosted = row.hosting is not None and row.hosting.state in ACTIVE
    if is_over or is_hosted or (certificate.spec is not None and certificate.spec not in windows):
        return None
    days = windows[certificate.spec] if certificate.spec else catalogue.window_days(None)
    return rules.opens_at(certificate.not_after, days) or certificate.not_before


def _by_certificate(query: Select[Hosting]) -> dict[str, Hosting]:
    """The hosting that speaks for each certificate: the active one, else the latest."""
    found: dict[str, Hosting] = {}
    for hosting in db.session.scalars(query):
        if hosting.certificate_id not in found or found[hosting.certificate_id].state not in ACTIVE:
            found[hosting.certificate_id] = hosting
    return found


def _row(
    certificate: Certificate, hosting: Hosting | None, renewal: Renewal | None, is_stuck: bool, now: datetime
) -> Row:
    standing = Standing(
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        is_uploaded=certificate.source is Source.UPLOADED,
        is_revoked=certificate.revoked_at is not None,
        hosting=hosting.state if hosting else None,
        needs_action=is_stuck or (renewal is not None and renewal.stopped_at is not None),
        is_replaced=certificate.replaced_at is not None,
    )
    return Row(certificate, certificate_state(standing, now), hosting, renewal)

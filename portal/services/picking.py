"""Choosing what to host, and the list of what is hosted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import joinedload

from portal.domain import hosting as rules
from portal.domain.errors import DomainError
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.services import catalogue
from portal.services.hosting import ACTIVE, background
from portal.services.paging import Cursor, Page, after, page_of

PAGE_SIZE = 25

#: How many certificates the picker shows; the search narrows the rest down.
MOST_SHOWN = 50


@dataclass(frozen=True)
class Choice:
    """A certificate in the picker. `reason` says why it cannot be chosen; `opens_at` from when it can."""

    certificate: Certificate
    reason: DomainError | None
    opens_at: datetime | None


@dataclass(frozen=True)
class HostedRow:
    """A hosting with the renewal that comes next, if its term still owes one."""

    hosting: Hosting
    renewal: Renewal | None


def choices(organisation_id: str, text: str, now: datetime) -> tuple[Choice, ...]:
    """Issued and uploaded certificates without hosting, the soonest expiry first; four queries.

    Those whose window has not opened are among them with the day it opens (rule 4).
    """
    hosted = exists().where(Hosting.certificate_id == Certificate.id, Hosting.state.in_(ACTIVE))
    query = select(Certificate).where(
        Certificate.organisation_id == organisation_id,
        Certificate.not_after > now,
        Certificate.replaced_at.is_(None),
        Certificate.revoked_at.is_(None),
        ~hosted,
    )
    if text := text.strip().lower():
        query = query.where(Certificate.names_text.contains(text, autoescape=True))
    found = db.session.scalars(query.order_by(Certificate.not_after, Certificate.id).limit(MOST_SHOWN)).all()
    known, products = background([one.id for one in found]), catalogue.products_on_sale()
    result = []
    for certificate in found:
        try:
            product = catalogue.product_for(certificate, products)
        except DomainError as error:
            product, reason = None, error if error.code != "spec_unconfirmed" else None
        else:
            reason = None
        candidate = known.candidate(certificate)
        days = catalogue.window_days(product)
        reason = rules.reason_against(candidate, days, now) or reason
        result.append(Choice(certificate, reason, rules.opens_at(candidate.not_after, days)))
    return tuple(result)


def list_hostings(organisation_id: str, cursor: Cursor | None) -> Page[HostedRow]:
    """Hostings, the newest first, each with its next renewal: two queries."""
    query = (
        select(Hosting)
        .where(Hosting.organisation_id == organisation_id)
        .options(joinedload(Hosting.certificate), joinedload(Hosting.product))
        .order_by(Hosting.created_at.desc(), Hosting.id.desc())
    )
    query = after(query, Hosting.created_at, Hosting.id, cursor, descending=True)
    page = page_of(
        db.session.scalars(query.limit(PAGE_SIZE + 1)).all(), PAGE_SIZE, lambda row: row.created_at
    )
    ids = [hosting.id for hosting in page.rows]
    finished = (RenewalState.DONE, RenewalState.CANCELLED)
    coming = select(Renewal).where(Renewal.hosting_id.in_(ids), Renewal.state.not_in(finished))
    renewals: dict[str, Renewal] = {}
    for renewal in db.session.scalars(coming.order_by(Renewal.sequence.desc())):
        renewals[renewal.hosting_id] = renewal
    return Page(tuple(HostedRow(hosting, renewals.get(hosting.id)) for hosting in page.rows), page.next)

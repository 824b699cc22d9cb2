"""The first page: four counters, what needs the customer, what is being renewed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.orm import joinedload

from portal.domain.renewal import IN_FLIGHT, RenewalState
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.services.hosting import ACTIVE
from portal.services.listing import SOON, Row, needs_attention, rows_of

#: Counters stop here ("9999+"): a page never counts a million rows.
CAP = 9_999
LIST_SIZE = 8


@dataclass(frozen=True)
class Counters:
    """How many certificates; a value above CAP means "more than CAP"."""

    all: int
    hosted: int
    expiring: int
    needs_you: int


@dataclass(frozen=True)
class Waiting:
    """What needs the customer: the most pressing first, a handful of each."""

    trouble: tuple[Row, ...]
    unhosted: tuple[Row, ...]


def counters(organisation_id: str, now: datetime) -> Counters:
    """Four bounded counts over indexes."""
    current = select(Certificate.id).where(
        Certificate.organisation_id == organisation_id, Certificate.replaced_at.is_(None)
    )
    hosted = select(Hosting.id).where(Hosting.organisation_id == organisation_id, Hosting.state.in_(ACTIVE))
    trouble = _count(_in_trouble(organisation_id))
    return Counters(
        all=_count(current),
        hosted=_count(hosted),
        expiring=_count(_expiring(organisation_id, now)),
        needs_you=trouble,
    )


def _count(ids: Select[str]) -> int:
    return db.session.scalar(select(func.count()).select_from(ids.limit(CAP + 1).subquery())) or 0


def _expiring(organisation_id: str, now: datetime) -> Select[str]:
    hosted = exists().where(Hosting.certificate_id == Certificate.id, Hosting.state.in_(ACTIVE))
    return select(Certificate.id).where(
        Certificate.organisation_id == organisation_id,
        Certificate.not_after > now,
        Certificate.not_after <= now + SOON,
        Certificate.replaced_at.is_(None),
        Certificate.revoked_at.is_(None),
        ~hosted,
    )


def _in_trouble(organisation_id: str) -> Select[str]:
    return select(Certificate.id).where(Certificate.organisation_id == organisation_id, needs_attention())


def waiting(organisation_id: str, now: datetime) -> Waiting:
    """Certificates in trouble, and those that expire soon without hosting."""
    trouble = select(Certificate).where(Certificate.id.in_(_in_trouble(organisation_id)))
    unhosted = select(Certificate).where(Certificate.id.in_(_expiring(organisation_id, now)))
    found = [
        db.session.scalars(query.order_by(Certificate.not_after, Certificate.id).limit(LIST_SIZE)).all()
        for query in (trouble, unhosted)
    ]
    return Waiting(rows_of(found[0], now), rows_of(found[1], now))


def in_flight(organisation_id: str, now: datetime) -> tuple[Renewal, ...]:
    """Renewals that have begun and are not live yet, and those whose turn it is this moment."""
    begun = or_(
        Renewal.state.in_(IN_FLIGHT),
        (Renewal.state == RenewalState.WAITING) & (Renewal.next_attempt_at <= now),
    )
    query = (
        select(Renewal)
        .where(Renewal.organisation_id == organisation_id, begun)
        .options(joinedload(Renewal.predecessor), joinedload(Renewal.successor))
        .order_by(Renewal.next_attempt_at, Renewal.id)
        .limit(LIST_SIZE)
        .execution_options(populate_existing=True)
    )
    return tuple(db.session.scalars(query))


def has_any(organisation_id: str) -> bool:
    """Whether this organisation has a certificate at all."""
    one = select(Certificate.id).where(Certificate.organisation_id == organisation_id).limit(1)
    return db.session.scalar(one) is not None

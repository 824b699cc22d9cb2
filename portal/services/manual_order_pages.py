"""What operators read of manual orders: the ones to carry, the latest that are done, and everything about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import joinedload

from portal.adapters.ca.manual import PREFIX
from portal.domain.applicant import applicant_in
from portal.domain.certificate import split_pem
from portal.domain.errors import DomainError
from portal.domain.manual_order import CHECKLISTS, CheckItem, ManualOrderState
from portal.domain.spec import ValidationType
from portal.extensions import db
from portal.models.account import Contact, Organisation, User
from portal.models.authority import ManualOrder
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.services import manual_alarms, manual_orders

#: Rows that each list shows.
SHOWN = 50
RECENT = 20


@dataclass(frozen=True)
class Line:
    """An order in a list. `deadline` is the expiry of the certificate that it renews."""

    id: str
    state: ManualOrderState
    names: Sequence[str]
    account: str
    reference: str | None
    created_at: datetime
    finished_at: datetime | None
    handler: str | None
    deadline: datetime | None = None
    organisation: str | None = None


@dataclass(frozen=True)
class Case:
    """Everything about one order. What belongs to its renewal is empty where that is over."""

    order: ManualOrder
    validation_type: ValidationType
    checklist: tuple[CheckItem, ...]
    handler: str | None
    renewal: Renewal | None = None
    organisation: str | None = None
    applicant: Mapping[str, str] = field(default_factory=dict)
    contacts: Sequence[Contact] = ()

    @property
    def account(self) -> CaAccount:
        return self.order.ca_account

    @property
    def predecessor(self) -> Certificate | None:
        return self.renewal.predecessor if self.renewal else None

    @property
    def deadline(self) -> datetime | None:
        return self.renewal.predecessor.not_after if self.renewal else None

    @property
    def is_open(self) -> bool:
        return self.order.state is ManualOrderState.UNDER_REVIEW


def list_open() -> list[Line]:
    """Orders that operators have to carry, the nearest deadline first."""
    in_flight = and_(Renewal.started_at.is_not(None), Renewal.finished_at.is_(None))
    query = (
        _lines(Certificate.not_after, Organisation.name)
        .where(ManualOrder.state == ManualOrderState.UNDER_REVIEW)
        .outerjoin(Renewal, and_(in_flight, Renewal.order_url == PREFIX + ManualOrder.id))
        .outerjoin(Certificate, Certificate.id == Renewal.predecessor_id)
        .outerjoin(Organisation, Organisation.id == Renewal.organisation_id)
        .order_by(Certificate.not_after, ManualOrder.created_at)
        .limit(SHOWN)
    )
    return [Line(*row) for row in db.session.execute(query)]


def count_open() -> int:
    """How many orders operators have to carry."""
    query = select(func.count()).where(ManualOrder.state == ManualOrderState.UNDER_REVIEW)
    return db.session.scalar(query) or 0


def list_finished() -> list[Line]:
    """The latest that were issued or refused."""
    done = (ManualOrderState.ISSUED, ManualOrderState.REFUSED)
    query = _lines().where(ManualOrder.state.in_(done)).order_by(ManualOrder.finished_at.desc())
    return [Line(*row) for row in db.session.execute(query.limit(RECENT))]


def _lines(*more: Any) -> Select[Any]:
    return (
        select(
            ManualOrder.id,
            ManualOrder.state,
            ManualOrder.names,
            CaAccount.name,
            ManualOrder.reference,
            ManualOrder.created_at,
            ManualOrder.finished_at,
            User.email,
            *more,
        )
        .join(CaAccount, CaAccount.id == ManualOrder.ca_account_id)
        .outerjoin(User, User.id == ManualOrder.handled_by)
    )


def read(order_id: str) -> Case:
    """The page of one order. Raises DomainError("not_found")."""
    order = manual_orders.get(order_id)
    handler = db.session.scalar(select(User.email).where(User.id == order.handled_by))
    renewal = manual_alarms.renewal_of(order.id) or _former_renewal(order)
    kind = manual_orders.ordered_validation(order, renewal)
    if renewal is None:
        return Case(order, kind, CHECKLISTS[kind], handler)
    organisation_id = renewal.organisation_id
    contacts = select(Contact).where(Contact.organisation_id == organisation_id).order_by(Contact.email)
    return Case(
        order,
        kind,
        CHECKLISTS[kind],
        handler,
        renewal,
        db.session.scalar(select(Organisation.name).where(Organisation.id == organisation_id)),
        applicant_of(renewal),
        db.session.scalars(contacts).all(),
    )


def applicant_of(renewal: Renewal) -> dict[str, str]:
    """What the CA is to be told of the applicant: what was copied along, else what the predecessor says itself."""
    known = renewal.applicant or renewal.predecessor.applicant
    if known:
        return {str(name): str(value) for name, value in known.items() if value}
    try:
        return applicant_in(split_pem(renewal.predecessor.leaf_pem)[0])
    except DomainError:
        return {}


def _former_renewal(order: ManualOrder) -> Renewal | None:
    """The renewal that a finished order was for, as its history names it."""
    noted = select(HistoryEntry.params).where(
        HistoryEntry.subject_type == ManualOrder.__tablename__, HistoryEntry.subject_id == order.id
    )
    ids = [one["renewal_id"] for one in db.session.scalars(noted) if one and "renewal_id" in one]
    if not ids:
        return None
    query = select(Renewal).where(Renewal.id == ids[-1])
    both = query.options(
        joinedload(Renewal.predecessor), joinedload(Renewal.hosting).joinedload(Hosting.product)
    )
    return db.session.scalar(both)

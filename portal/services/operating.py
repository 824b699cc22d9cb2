"""What operators see of an installation, from the database, in a constant number of indexed queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, literal, literal_column, or_, select, union_all

from portal.domain.deployment import DeploymentState
from portal.domain.hosting import HostingState
from portal.domain.order import OrderState
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.account import Organisation
from portal.models.authority import Revocation
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.deployment import Deployment
from portal.models.history import Heartbeat
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.models.order import Order
from portal.models.validation import HostingCheck
from portal.queue import JobName
from portal.services import subjects
from portal.services.job_board import JobView
from portal.services.kinds import KINDS
from portal.services.subjects import Subject

#: Rows shown in each list; the rest are counted.
SHOWN = 20
RECENT = 8

#: Work that was due this long ago and is not done is late.
LATE_AFTER = timedelta(minutes=2)


def _text(value: str) -> ColumnElement[Any]:
    """A literal that is written into the statement, so that a partial index is recognised."""
    return literal_column(f"'{value}'")


#: What needs a person, by kind: exactly the conditions of the partial indexes.
ATTENTION: Mapping[str, ColumnElement[bool]] = {
    "renewal": Renewal.stopped_at.is_not(None),
    "deployment": or_(
        Deployment.stopped_at.is_not(None), Deployment.state == _text(DeploymentState.NOT_LIVE.value)
    ),
    "order": or_(Order.stopped_at.is_not(None), Order.state == _text(OrderState.DISPUTED.value)),
    "notice": Notice.stopped_at.is_not(None),
    "check": HostingCheck.stopped_at.is_not(None),
    "revocation": Revocation.stopped_at.is_not(None),
}
#: Whose rows the ids of a job are.
_KIND_OF_JOB: Mapping[JobName | None, str] = {kind.job: name for name, kind in KINDS.items()}

_IN_FLIGHT = (Renewal.started_at.is_not(None), Renewal.finished_at.is_(None))


@dataclass(frozen=True)
class FailedHosting:
    """A hosting that ended in 托管失败."""

    id: str
    name: str
    organisation: str
    since: datetime


@dataclass(frozen=True)
class Authority:
    """A CA account and the renewals that it has in hand."""

    id: str
    name: str
    kind: str
    is_registered: bool
    paused_at: datetime | None
    in_flight: int


@dataclass(frozen=True)
class RecentOrder:
    number: str
    organisation: str
    state: OrderState
    total_fen: int
    currency: str
    created_at: datetime


@dataclass(frozen=True)
class Late:
    """Work that is due and not done: how much, and since when the longest."""

    count: int
    since: datetime | None


@dataclass(frozen=True)
class Situation:
    """An installation at one moment, as its database has it."""

    attention: Sequence[Subject]
    attention_count: int
    failed_hostings: Sequence[FailedHosting]
    flight: Sequence[Subject]
    flight_steps: Mapping[RenewalState, int]
    late: Mapping[str, Late]
    mail_waiting: Sequence[Subject]
    mail_waiting_count: int
    authorities: Sequence[Authority]
    orders: Sequence[RecentOrder]
    heartbeats: Mapping[str, datetime]


def read(now: datetime) -> Situation:
    """Everything that the operator's page shows from the database."""
    steps = _flight_steps()
    waiting = (Notice.next_attempt_at.is_not(None), Notice.attempts > 0)
    return Situation(
        attention=_attention(),
        attention_count=_attention_count(),
        failed_hostings=_failed_hostings(),
        flight=_flight(),
        flight_steps=steps,
        late=_late(now),
        mail_waiting=subjects.fetch(
            "notice", subjects.query("notice").where(*waiting).order_by(Notice.created_at).limit(RECENT)
        ),
        mail_waiting_count=db.session.scalar(select(func.count()).select_from(Notice).where(*waiting)) or 0,
        authorities=_authorities(),
        orders=_orders(),
        heartbeats=dict(db.session.execute(select(Heartbeat.name, Heartbeat.at)).all()),
    )


def _attention() -> list[Subject]:
    """What needs a person, the longest waiting first."""
    found: list[Subject] = []
    for kind, condition in ATTENTION.items():
        oldest = subjects.MODELS[kind].stopped_at
        found += subjects.fetch(kind, subjects.query(kind).where(condition).order_by(oldest).limit(SHOWN))
    found.sort(key=lambda one: (one.stopped_at is None, one.stopped_at and one.stopped_at.timestamp()))
    return found[:SHOWN]


def _attention_count() -> int:
    counts = [
        select(func.count().label("count")).select_from(subjects.MODELS[kind]).where(condition)
        for kind, condition in ATTENTION.items()
    ]
    counts.append(
        select(func.count()).select_from(Hosting).where(Hosting.state == _text(HostingState.FAILED.value))
    )
    together = union_all(*counts).subquery()
    return int(db.session.scalar(select(func.sum(together.c.count))) or 0)


def _failed_hostings() -> list[FailedHosting]:
    query = (
        select(Hosting.id, Certificate.name, Organisation.name, Hosting.created_at)
        .join(Certificate, Certificate.id == Hosting.certificate_id)
        .join(Organisation, Organisation.id == Hosting.organisation_id)
        .where(Hosting.state == _text(HostingState.FAILED.value))
        .order_by(Hosting.created_at)
        .limit(SHOWN)
    )
    return [FailedHosting(*row) for row in db.session.execute(query)]


def _flight() -> list[Subject]:
    narrowed = subjects.query("renewal").where(*_IN_FLIGHT).order_by(Renewal.started_at.desc()).limit(RECENT)
    return subjects.fetch("renewal", narrowed)


def _flight_steps() -> dict[RenewalState, int]:
    """Renewals in flight by step, in the order of the steps; steps without any are left out."""
    query = select(Renewal.state, func.count()).where(*_IN_FLIGHT).group_by(Renewal.state)
    counted: dict[RenewalState, int] = dict(db.session.execute(query).all())
    return {state: counted[state] for state in RenewalState if state in counted}


def _late(now: datetime) -> dict[str, Late]:
    parts = [
        select(literal(kind), func.count(), func.min(model.next_attempt_at)).where(
            model.next_attempt_at <= now - LATE_AFTER
        )
        for kind, model in subjects.MODELS.items()
    ]
    return {kind: Late(count, since) for kind, count, since in db.session.execute(union_all(*parts)) if count}


def _authorities() -> list[Authority]:
    busy = (
        select(Renewal.ca_account_id, func.count().label("count"))
        .where(*_IN_FLIGHT)
        .group_by(Renewal.ca_account_id)
        .subquery()
    )
    query = (
        select(
            CaAccount.id,
            CaAccount.name,
            CaAccount.kind,
            CaAccount.account_url.is_not(None),
            CaAccount.paused_at,
            func.coalesce(busy.c.count, 0),
        )
        .outerjoin(busy, busy.c.ca_account_id == CaAccount.id)
        .order_by(CaAccount.name)
    )
    return [Authority(*row) for row in db.session.execute(query)]


def _orders() -> list[RecentOrder]:
    query = (
        select(
            Order.number, Organisation.name, Order.state, Order.total_fen, Order.currency, Order.created_at
        )
        .join(Organisation, Organisation.id == Order.organisation_id)
        .order_by(Order.created_at.desc(), Order.id.desc())
        .limit(RECENT)
    )
    return [RecentOrder(*row) for row in db.session.execute(query)]


def stand_for(jobs: Sequence[JobView]) -> dict[str, list[Subject]]:
    """By job id: the rows that each job is for, as far as they exist; one query a kind."""
    kinds = {view.id: _KIND_OF_JOB[view.job] for view in jobs if view.job in _KIND_OF_JOB}
    wanted: dict[str, set[str]] = {}
    for view in jobs:
        if view.id in kinds:
            wanted.setdefault(kinds[view.id], set()).update(view.ids)
    found = {kind: subjects.by_id(kind, ids) for kind, ids in wanted.items()}
    return {
        view.id: [found[kinds[view.id]][one] for one in view.ids if one in found[kinds[view.id]]]
        for view in jobs
        if view.id in kinds
    }

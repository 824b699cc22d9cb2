"""What an id stands for: the domain, order or recipient behind a row of background work, and how it is doing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, literal, select

from portal.extensions import db
from portal.models.account import Organisation
from portal.models.authority import Revocation
from portal.models.certificate import Certificate
from portal.models.deployment import Deployment, DeploymentTarget
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.models.order import Order
from portal.models.validation import HostingCheck


@dataclass(frozen=True)
class Subject:
    """One row of background work. `title` is a domain, an order number or a recipient; `note` a product or a kind."""

    kind: str
    id: str
    title: str
    note: str
    organisation: str | None
    state: StrEnum
    error_code: str | None = None
    error_params: Mapping[str, Any] = field(default_factory=dict)
    stopped_at: datetime | None = None
    next_attempt_at: datetime | None = None
    attempts: int = 0

    @property
    def can_retry(self) -> bool:
        """Whether trying again now means anything."""
        return self.next_attempt_at is not None or self.kind == "notice"


def _columns(model: type[Any], title: Any, note: Any) -> Sequence[Any]:
    return (
        model.id,
        title,
        note,
        Organisation.name,
        model.state,
        model.error_code,
        model.error_params,
        model.stopped_at,
        model.next_attempt_at,
        model.attempts,
    )


def query(kind: str) -> Select[Any]:
    """The subjects of a kind, to be narrowed down by the caller."""
    return _QUERIES[kind]


_QUERIES: Mapping[str, Select[Any]] = {
    "renewal": select(*_columns(Renewal, Certificate.name, literal("")))
    .join(Certificate, Certificate.id == Renewal.predecessor_id)
    .join(Organisation, Organisation.id == Renewal.organisation_id),
    "deployment": select(*_columns(Deployment, DeploymentTarget.domain, DeploymentTarget.product))
    .join(DeploymentTarget, DeploymentTarget.id == Deployment.target_id)
    .join(Organisation, Organisation.id == Deployment.organisation_id),
    "revocation": select(*_columns(Revocation, Certificate.name, literal("")))
    .join(Certificate, Certificate.id == Revocation.certificate_id)
    .join(Organisation, Organisation.id == Revocation.organisation_id),
    "check": select(*_columns(HostingCheck, Certificate.name, HostingCheck.subject))
    .join(Hosting, Hosting.id == HostingCheck.hosting_id)
    .join(Certificate, Certificate.id == Hosting.certificate_id)
    .join(Organisation, Organisation.id == HostingCheck.organisation_id),
    "order": select(*_columns(Order, Order.number, literal(""))).join(
        Organisation, Organisation.id == Order.organisation_id
    ),
    "notice": select(*_columns(Notice, Notice.recipient, Notice.kind)).outerjoin(
        Organisation, Organisation.id == Notice.organisation_id
    ),
}

MODELS: Mapping[str, type[Any]] = {
    "renewal": Renewal,
    "deployment": Deployment,
    "revocation": Revocation,
    "check": HostingCheck,
    "order": Order,
    "notice": Notice,
}


def fetch(kind: str, narrowed: Select[Any]) -> list[Subject]:
    """Run a narrowed query of that kind."""
    return [
        Subject(kind, row_id, title, str(note), organisation, state, code, params or {}, *rest)
        for row_id, title, note, organisation, state, code, params, *rest in db.session.execute(narrowed)
    ]


def by_id(kind: str, ids: Iterable[str]) -> dict[str, Subject]:
    """The subjects with these ids (those that exist), in one query; none for a kind that has no rows."""
    wanted = sorted(set(ids))
    if kind not in MODELS or not wanted:
        return {}
    found = fetch(kind, query(kind).where(MODELS[kind].id.in_(wanted)))
    return {subject.id: subject for subject in found}

"""What has become of a renewal, step by step: its present state and its history told as one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from portal.domain.deployment import SETTLED, DeploymentState
from portal.domain.notices import NoticeKind, NoticeState
from portal.domain.renewal import FINAL, RenewalState
from portal.extensions import db
from portal.models.deployment import Deployment, DeploymentTarget
from portal.models.history import HistoryEntry
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.models.operation import Operation


class StepName(StrEnum):
    """The steps that people see; several states of a renewal may be one of them."""

    DETAILS = "details"
    PREFLIGHT = "preflight"
    KEY = "key"
    REQUEST = "request"
    DOMAIN_CHECK = "domain_check"
    CA = "ca"
    DEPLOY = "deploy"
    LIVE = "live"
    NOTIFY = "notify"


class Status(StrEnum):
    DONE = "done"
    NOW = "now"
    TODO = "todo"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True)
class Step:
    """One step. `at` is when it was done; `again_at` when it is tried again; an error says why it is not done yet."""

    name: StepName
    status: Status
    at: datetime | None = None
    target: DeploymentTarget | None = None
    error_code: str | None = None
    error_params: Mapping[str, Any] = field(default_factory=dict)
    again_at: datetime | None = None


@dataclass(frozen=True)
class Timeline:
    """`is_over` once nothing in it will change by itself: whoever watches can stop."""

    renewal: Renewal
    steps: tuple[Step, ...]
    is_over: bool

    @property
    def needs_person(self) -> bool:
        return any(step.status is Status.FAILED for step in self.steps)


#: The state in which each step is done.
DONE_IN: Sequence[tuple[StepName, RenewalState]] = (
    (StepName.DETAILS, RenewalState.STARTED),
    (StepName.PREFLIGHT, RenewalState.CHECKED),
    (StepName.KEY, RenewalState.KEYED),
    (StepName.REQUEST, RenewalState.ORDERED),
    (StepName.DOMAIN_CHECK, RenewalState.VALIDATED),
    (StepName.CA, RenewalState.ISSUED),
)
_RANKS = {state: rank for rank, state in enumerate(RenewalState)}
_BOUND = SETTLED | {DeploymentState.BOUND, DeploymentState.READ_BACK, DeploymentState.NOT_LIVE}
_TOLD_BY = (NoticeKind.RENEWED, NoticeKind.PLEASE_INSTALL)


def of(renewal: Renewal, now: datetime) -> Timeline:
    """The timeline of a renewal: three queries."""
    times = _times(renewal)
    deployments = _deployments(renewal)
    notices = _notices(renewal)
    steps = [*_own_steps(renewal, times, now)]
    steps += _deployment_steps(deployments) or _no_deployments(renewal)
    steps.append(_notice_step(renewal, notices))
    is_over = renewal.state in FINAL and all(one.state is not NoticeState.PENDING for one in notices)
    return Timeline(renewal, tuple(steps), is_over)


def for_certificate(certificate_id: str, now: datetime) -> tuple[Timeline, ...]:
    """The renewal that will replace a certificate, then the one that it came from; without cancelled ones."""
    involved = or_(Renewal.predecessor_id == certificate_id, Renewal.successor_id == certificate_id)
    query = select(Renewal).where(involved, Renewal.state != RenewalState.CANCELLED)
    query = query.options(joinedload(Renewal.predecessor), joinedload(Renewal.successor))
    found = db.session.scalars(query.order_by(Renewal.created_at.desc())).all()
    return tuple(of(renewal, now) for renewal in found)


def find_renewal(renewal_id: str, organisation_id: str) -> Renewal | None:
    """A renewal of this organisation with both its certificates, fresh from the database."""
    query = select(Renewal).where(Renewal.id == renewal_id, Renewal.organisation_id == organisation_id)
    both = query.options(joinedload(Renewal.predecessor), joinedload(Renewal.successor))
    return db.session.scalar(both.execution_options(populate_existing=True))


def _times(renewal: Renewal) -> dict[str, datetime]:
    """When each state was last reached."""
    query = select(HistoryEntry.to_state, HistoryEntry.at).where(
        HistoryEntry.subject_type == "renewals", HistoryEntry.subject_id == renewal.id
    )
    rows = db.session.execute(query.where(HistoryEntry.event != "stop").order_by(HistoryEntry.at))
    return {row.to_state: row.at for row in rows}


def _deployments(renewal: Renewal) -> Sequence[Deployment]:
    query = select(Deployment).where(Deployment.renewal_id == renewal.id)
    query = query.options(joinedload(Deployment.target).joinedload(DeploymentTarget.cloud_account))
    return db.session.scalars(query.order_by(Deployment.created_at, Deployment.id)).all()


def _notices(renewal: Renewal) -> Sequence[Notice]:
    if renewal.successor_id is None:
        return ()
    query = select(Notice).where(Notice.subject_id == renewal.successor_id, Notice.kind.in_(_TOLD_BY))
    return db.session.scalars(query).all()


def _own_steps(renewal: Renewal, times: Mapping[str, datetime], now: datetime) -> list[Step]:
    steps: list[Step] = []
    for name, done_in in DONE_IN:
        if _RANKS[renewal.state] >= _RANKS[done_in]:
            steps.append(Step(name, Status.DONE, times.get(done_in.value)))
        elif all(step.status is Status.DONE for step in steps):
            is_early = renewal.state is RenewalState.WAITING and (renewal.next_attempt_at or now) > now
            quiet = Step(name, Status.WAITING if is_early else Status.NOW, again_at=renewal.next_attempt_at)
            steps.append(_with_trouble(quiet, renewal))
        else:
            steps.append(Step(name, Status.TODO))
    return steps


def _with_trouble(step: Step, row: Operation) -> Step:
    """The step as it stands: needing a person, waiting to be tried again, or simply under way."""
    if row.error_code is None:
        return step
    status = Status.FAILED if row.stopped_at is not None else Status.WAITING
    return replace(
        step,
        status=status,
        error_code=row.error_code,
        error_params=row.error_params or {},
        again_at=row.next_attempt_at,
    )


def _deployment_steps(deployments: Sequence[Deployment]) -> list[Step]:
    steps = []
    for one in deployments:
        if one.state in _BOUND:
            steps.append(Step(StepName.DEPLOY, Status.DONE, one.bound_at, one.target))
            steps.append(_live_step(one))
        else:
            step = Step(StepName.DEPLOY, Status.NOW, target=one.target, again_at=one.next_attempt_at)
            steps.append(_with_trouble(step, one))
            steps.append(Step(StepName.LIVE, Status.TODO, target=one.target))
    return steps


def _live_step(one: Deployment) -> Step:
    if one.state in SETTLED:
        return Step(StepName.LIVE, Status.DONE, one.live_at, one.target)
    step = Step(StepName.LIVE, Status.NOW, target=one.target, again_at=one.next_attempt_at)
    if one.state is DeploymentState.NOT_LIVE:
        step = replace(step, status=Status.FAILED, error_code=one.error_code or "not_live")
        return replace(step, error_params=one.error_params or {})
    return _with_trouble(step, one)


def _no_deployments(renewal: Renewal) -> list[Step]:
    """Nothing to deploy to (the customer installs it), or not known yet."""
    is_past = _RANKS[renewal.state] >= _RANKS[RenewalState.DEPLOYING]
    if is_past:
        return [Step(StepName.DEPLOY, Status.DONE)]
    return [Step(StepName.DEPLOY, Status.TODO), Step(StepName.LIVE, Status.TODO)]


def _notice_step(renewal: Renewal, notices: Sequence[Notice]) -> Step:
    if renewal.state is not RenewalState.DONE:
        return Step(StepName.NOTIFY, Status.TODO)
    sent = [notice.sent_at for notice in notices if notice.sent_at is not None]
    if any(notice.state is NoticeState.PENDING for notice in notices):
        return Step(StepName.NOTIFY, Status.NOW)
    if not sent and notices:
        return Step(StepName.NOTIFY, Status.FAILED, error_code="mail_refused")
    return Step(StepName.NOTIFY, Status.DONE, max(sent, default=renewal.finished_at))

"""Deployments: finding where last year's certificate is served, and planning the way there for its successor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select, update

from portal.domain.deployment import SETTLED, TRANSITIONS, DeploymentEvent, DeploymentState, covers
from portal.domain.errors import DomainError
from portal.domain.states import advance
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.deployment import Deployment, DeploymentTarget
from portal.models.hosting import Renewal
from portal.models.types import new_id
from portal.queue import JobName, enqueue_after_commit
from portal.services.acting import note_change
from portal.services.auditing import audit
from portal.services.operations import WORKER_ACTOR


def known_targets(certificate: Certificate) -> list[DeploymentTarget]:
    """The targets that serve this certificate by our own records, or that may: nothing is known of them yet.

    A deployment to one of the latter looks first what is bound there, with its own retries: a cloud that is away, or a
    target that is gone, never holds the other targets up.
    """
    query = (
        select(DeploymentTarget)
        .where(
            DeploymentTarget.organisation_id == certificate.organisation_id,
            DeploymentTarget.is_automatic,
            or_(DeploymentTarget.certificate_id == certificate.id, DeploymentTarget.certificate_id.is_(None)),
        )
        .order_by(DeploymentTarget.domain, DeploymentTarget.id)
    )
    names = tuple(certificate.names)
    return [one for one in db.session.scalars(query) if one.certificate_id or covers(names, one.domain)]


def plan(target_ids: Sequence[str], certificate: Certificate, renewal_id: str | None, now: datetime) -> None:
    """Add a deployment of `certificate` for each target, within the caller's transaction.

    One that is planned already stays as it is; older ones on the same target are superseded.
    """
    planned = set(_targets_of(certificate))
    for target_id in target_ids:
        _supersede(target_id, certificate.id, now)
        if target_id in planned:
            continue
        deployment = Deployment(
            id=new_id(),
            organisation_id=certificate.organisation_id,
            target_id=target_id,
            certificate_id=certificate.id,
            renewal_id=renewal_id,
            state=DeploymentState.PENDING,
            next_attempt_at=now,
            created_at=now,
        )
        db.session.add(deployment)
        enqueue_after_commit(db.session(), JobName.ADVANCE_DEPLOYMENTS, [deployment.id])
    db.session.flush()


def _targets_of(certificate: Certificate) -> list[str]:
    rows = select(Deployment.target_id).where(Deployment.certificate_id == certificate.id)
    return list(db.session.scalars(rows))


def _supersede(target_id: str, certificate_id: str, now: datetime) -> None:
    older = select(Deployment).where(
        Deployment.target_id == target_id,
        Deployment.certificate_id != certificate_id,
        Deployment.state != DeploymentState.SUPERSEDED,
    )
    for deployment in db.session.scalars(older):
        to_state = advance(TRANSITIONS, deployment.state, DeploymentEvent.SUPERSEDE)
        moved = update(Deployment).where(Deployment.id == deployment.id, Deployment.state == deployment.state)
        # The fence moves too: a worker that is busy with the old certificate must not write over the new one's work.
        values = {"state": to_state, "next_attempt_at": None, "fence": Deployment.fence + 1}
        db.session.execute(moved.values(values))
        change = (deployment.state, DeploymentEvent.SUPERSEDE, to_state)
        note_change("deployments", deployment.id, change, WORKER_ACTOR, now)


def is_all_live(renewal: Renewal) -> bool:
    """Whether every deployment of this renewal is settled."""
    open_ones = select(Deployment.id).where(
        Deployment.renewal_id == renewal.id, Deployment.state.not_in(SETTLED)
    )
    return db.session.scalar(open_ones.limit(1)) is None


def retry(deployment_id: str, actor: str, now: datetime, organisation_id: str | None = None) -> None:
    """Try a deployment that waits or was stopped again at once. Raises DomainError("deployment_not_found")."""
    query = select(Deployment).where(Deployment.id == deployment_id)
    if organisation_id is not None:
        query = query.where(Deployment.organisation_id == organisation_id)
    deployment = db.session.scalar(query)
    if deployment is None:
        raise DomainError("deployment_not_found")
    due = update(Deployment).where(Deployment.id == deployment.id, Deployment.next_attempt_at.is_not(None))
    db.session.execute(due.values(next_attempt_at=now, rung_until=None))
    audit(
        db.session,
        "deployment.retry",
        ("deployments", deployment.id),
        actor,
        now,
        organisation_id=deployment.organisation_id,
    )
    enqueue_after_commit(db.session(), JobName.ADVANCE_DEPLOYMENTS, [deployment.id])
    db.session.commit()

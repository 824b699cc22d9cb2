"""The steps of a deployment, one function per state (see portal.domain.deployment).

Each asks before it acts: after a lost answer the product is read back first, and nothing is done twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from portal.adapters import live_check
from portal.adapters.cloud.base import CloudProductAdapter, Material
from portal.adapters.errors import AdapterError
from portal.domain.deployment import TRANSITIONS, DeploymentEvent, DeploymentState
from portal.domain.keys import key_to_pem
from portal.domain.notices import NoticeKind
from portal.domain.renewal import poll_after
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.deployment import CloudUpload, Deployment, DeploymentTarget
from portal.models.hosting import Renewal
from portal.models.types import new_id
from portal.queue import JobName, enqueue_after_commit
from portal.services import cloud_accounts, noticing
from portal.services.operations import Advance, Kind, Wait, leave_transaction, settings
from portal.services.private_keys import open_certificate_key
from portal.services.ringing import wake

#: How often a target that still serves the old certificate is looked at once that has been told.
LOOK_AGAIN = timedelta(hours=1)


def upload(deployment: Deployment, now: datetime) -> Advance | Wait:
    """Bring the certificate into the cloud's store, once per account and site."""
    target, certificate = deployment.target, deployment.certificate
    account = target.cloud_account
    adapter = cloud_accounts.connect(account, target.product)
    if not _is_ours(deployment, adapter):
        return Advance(
            DeploymentEvent.LEAVE_ALONE,
            due_at=None,
            reason="bound_another",
            then=lambda: _wake_renewal(deployment, now),
        )
    known = _upload_of(target, adapter.site, certificate.id)
    if known is not None:
        return Advance(DeploymentEvent.UPLOAD, due_at=now, values={"remote_id": known})
    material = _material(certificate, target.domain)
    leave_transaction()
    remote_id = adapter.upload(material)
    return Advance(
        DeploymentEvent.UPLOAD,
        due_at=now,
        values={"remote_id": remote_id},
        then=lambda: _remember_upload(target, adapter.site, certificate.id, remote_id, now),
    )


def bind(deployment: Deployment, now: datetime) -> Advance | Wait:
    """Have the domain serve it, unless it does: an earlier try may have been applied and its answer lost."""
    target = deployment.target
    adapter = cloud_accounts.connect(target.cloud_account, target.product)
    wanted = deployment.certificate.sha256
    leave_transaction()
    assert deployment.remote_id is not None
    if adapter.bound_sha256(target.domain) != wanted:
        adapter.bind(target.domain, deployment.remote_id)
    return Advance(DeploymentEvent.BIND, due_at=now, values={"bound_at": now})


def read_back(deployment: Deployment, now: datetime) -> Advance | Wait:
    """The product must say that it holds this certificate; stale answers are waited for, then it is bound again."""
    target = deployment.target
    adapter = cloud_accounts.connect(target.cloud_account, target.product)
    wanted = deployment.certificate.sha256
    leave_transaction()
    if adapter.bound_sha256(target.domain) == wanted:
        return Advance(DeploymentEvent.READ_BACK, due_at=now)
    if _is_propagating(deployment, now):
        return Wait(now + poll_after(deployment.polls + 1))
    failure = AdapterError("bound_another", permanent=False, domain=target.domain)
    return Advance(DeploymentEvent.REBIND, due_at=now, failure=failure, reason=failure.code)


def see_live(deployment: Deployment, now: datetime) -> Advance | Wait:
    """A TLS handshake with every address of the domain must show this certificate's leaf."""
    leave_transaction()
    served = _served(deployment)
    if served == {deployment.certificate.sha256}:
        return _is_live(deployment, now)
    seen = {"served_sha256": next(iter(sorted(served)), None)}
    if _is_propagating(deployment, now):
        return Wait(now + poll_after(deployment.polls + 1), values=seen)
    failure = AdapterError("not_live", permanent=False, domain=deployment.target.domain)
    return Advance(
        DeploymentEvent.MISS,
        due_at=now + LOOK_AGAIN,
        values=seen,
        failure=failure,
        reason=failure.code,
        then=lambda: _tell_not_live(deployment, now),
    )


def look_again(deployment: Deployment, now: datetime) -> Advance | Wait:
    """Still looking; where the product holds another certificate by now, bind ours again."""
    target = deployment.target
    adapter = cloud_accounts.connect(target.cloud_account, target.product)
    leave_transaction()
    served = _served(deployment)
    if served == {deployment.certificate.sha256}:
        return _is_live(deployment, now)
    if adapter.bound_sha256(target.domain) != deployment.certificate.sha256:
        failure = AdapterError("bound_another", permanent=False, domain=target.domain)
        return Advance(DeploymentEvent.REBIND, due_at=now, failure=failure, reason=failure.code)
    return Wait(now + LOOK_AGAIN, values={"served_sha256": next(iter(sorted(served)), None)})


def _served(deployment: Deployment) -> set[str]:
    """The leaves (SHA-256) that the target's addresses serve; empty while nothing answers."""
    target = deployment.target
    host = target.live_host or target.domain.removeprefix("*").lstrip(".")
    allowed = settings().allowed_networks
    try:
        seen = live_check.see_served(
            host, target.live_address, timeout=settings().step_timeout, allowed_networks=allowed
        )
    except AdapterError as error:
        if error.permanent:
            raise
        return set()
    return {one.sha256 for one in seen}


def _is_live(deployment: Deployment, now: datetime) -> Advance:
    sha256 = deployment.certificate.sha256
    values = {"served_sha256": sha256, "live_at": now}
    return Advance(
        DeploymentEvent.SEE_LIVE, due_at=None, values=values, then=lambda: _record_live(deployment, now)
    )


def _record_live(deployment: Deployment, now: datetime) -> None:
    target = db.session.get_one(DeploymentTarget, deployment.target_id)
    target.certificate_id = deployment.certificate_id
    target.served_sha256 = deployment.certificate.sha256
    target.served_at = now
    _wake_renewal(deployment, now)


def _wake_renewal(deployment: Deployment, now: datetime) -> None:
    if deployment.renewal_id is not None:
        wake(Renewal, deployment.renewal_id, now)
        enqueue_after_commit(db.session(), JobName.ADVANCE_RENEWALS, [deployment.renewal_id])


def _is_ours(deployment: Deployment, adapter: CloudProductAdapter) -> bool:
    """Whether the target serves the predecessor (or our certificate already): by our records, else by what is bound."""
    target = deployment.target
    if deployment.renewal_id is None or target.certificate_id is not None:
        return True
    ours = {deployment.certificate.sha256}
    if deployment.certificate.predecessor_id is not None:
        ours.add(db.session.get_one(Certificate, deployment.certificate.predecessor_id).sha256)
    leave_transaction()
    return adapter.bound_sha256(target.domain) in ours


def _is_propagating(deployment: Deployment, now: datetime) -> bool:
    bound_at = deployment.bound_at or now
    return now < bound_at + timedelta(seconds=settings().propagation_seconds)


def _upload_of(target: DeploymentTarget, site: str, certificate_id: str) -> str | None:
    query = select(CloudUpload.remote_id).where(
        CloudUpload.cloud_account_id == target.cloud_account_id,
        CloudUpload.site == site,
        CloudUpload.certificate_id == certificate_id,
    )
    return db.session.scalar(query)


def _remember_upload(
    target: DeploymentTarget, site: str, certificate_id: str, remote_id: str, now: datetime
) -> None:
    if _upload_of(target, site, certificate_id) is not None:
        return
    upload_row = CloudUpload(
        id=new_id(),
        organisation_id=target.organisation_id,
        cloud_account_id=target.cloud_account_id,
        site=site,
        certificate_id=certificate_id,
        remote_id=remote_id,
        created_at=now,
    )
    db.session.add(upload_row)


def _material(certificate: Certificate, domain: str) -> Material:
    name = domain.removeprefix("*").lstrip(".")[:48]
    return Material(
        name=f"{name}-{certificate.sha256[:12]}",
        fullchain_pem=certificate.fullchain_pem,
        key_pem=key_to_pem(open_certificate_key(certificate)),
        sha256=certificate.sha256,
    )


def _params(deployment: Deployment) -> dict[str, object]:
    target, certificate = deployment.target, deployment.certificate
    return {
        "name": certificate.name,
        "names": list(certificate.names),
        "certificate_id": certificate.id,
        "target": f"{target.product.upper()} · {target.domain}",
        "served_sha256": deployment.served_sha256,
        "step": deployment.state.value,
        "error_code": deployment.error_code,
        "error_params": deployment.error_params or {},
    }


def _tell_not_live(deployment: Deployment, now: datetime) -> None:
    told = {
        "subject_type": "deployments",
        "subject_id": deployment.id,
        "params": _params(deployment),
        "now": now,
    }
    noticing.tell(db.session(), deployment.organisation_id, NoticeKind.NOT_LIVE, **told)  # type: ignore[arg-type]
    noticing.tell_operators(db.session(), NoticeKind.NOT_LIVE, **told)  # type: ignore[arg-type]


def _on_stop(deployment: Deployment, now: datetime) -> None:
    told = {
        "subject_type": "deployments",
        "subject_id": deployment.id,
        "params": _params(deployment),
        "now": now,
    }
    kind = NoticeKind.ACTION_REQUIRED
    noticing.tell(db.session(), deployment.organisation_id, kind, **told)  # type: ignore[arg-type]
    noticing.tell_operators(db.session(), kind, **told)  # type: ignore[arg-type]


KIND: Kind[Deployment] = Kind(
    name="deployment",
    model=Deployment,
    transitions=TRANSITIONS,
    steps={
        DeploymentState.PENDING: upload,
        DeploymentState.UPLOADED: bind,
        DeploymentState.BOUND: read_back,
        DeploymentState.READ_BACK: see_live,
        DeploymentState.NOT_LIVE: look_again,
    },
    job=JobName.ADVANCE_DEPLOYMENTS,
    on_stop=_on_stop,
)

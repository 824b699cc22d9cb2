"""Having a certificate revoked at its CA, once whatever replaces it is live."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import exists, select, update

from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.domain.notices import NoticeKind
from portal.domain.renewal import FINAL, RenewalState
from portal.domain.revocation import TRANSITIONS, RevocationEvent, RevocationReason, RevocationState
from portal.extensions import db
from portal.models.authority import Revocation
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.deployment import Deployment
from portal.models.hosting import Renewal
from portal.models.types import new_id
from portal.queue import JobName, enqueue_after_commit
from portal.services import ca_accounts, noticing
from portal.services.acting import note_change
from portal.services.operations import Advance, Kind, Wait, leave_transaction

#: How often it is looked whether the replacement is live.
LOOK_AGAIN = timedelta(minutes=1)

#: Where no target is known the customer installs the replacement; the old one goes on working for so long meanwhile.
INSTALL_WITHIN = timedelta(hours=24)


def await_replacement(
    renewal: Renewal, certificate: Certificate, reason: RevocationReason, actor: str, now: datetime
) -> Revocation:
    """Have `certificate` revoked once `renewal` is live, within the caller's transaction. Safe to repeat."""
    return begin(certificate, reason, actor, now, renewal)


def begin(
    certificate: Certificate,
    reason: RevocationReason,
    actor: str,
    now: datetime,
    renewal: Renewal | None = None,
) -> Revocation:
    """Add the revocation of a certificate, within the caller's transaction; the one that is there already stays."""
    known = db.session.scalar(select(Revocation).where(Revocation.certificate_id == certificate.id))
    if known is not None:
        return known
    revocation = Revocation(
        id=new_id(),
        organisation_id=certificate.organisation_id,
        certificate_id=certificate.id,
        renewal_id=renewal.id if renewal else None,
        state=RevocationState.AWAITING if renewal else RevocationState.REQUESTED,
        reason=reason.value,
        requested_by=actor,
        created_at=now,
        next_attempt_at=now,
    )
    db.session.add(revocation)
    db.session.flush()
    enqueue_after_commit(db.session(), JobName.ADVANCE_REVOCATIONS, [revocation.id])
    return revocation


def await_live(revocation: Revocation, now: datetime) -> Advance | Wait:
    """Go on once the replacement is live everywhere, or was taken back."""
    renewal = db.session.get(Renewal, revocation.renewal_id) if revocation.renewal_id else None
    if renewal is None or renewal.state is RenewalState.CANCELLED:
        return Advance(RevocationEvent.PROCEED, due_at=now)
    if renewal.state not in FINAL:
        return Wait(now + LOOK_AGAIN)
    is_deployed = db.session.scalar(select(exists().where(Deployment.renewal_id == renewal.id)))
    install_until = (renewal.finished_at or now) + INSTALL_WITHIN
    if not is_deployed and now < install_until:
        return Wait(install_until)
    return Advance(RevocationEvent.PROCEED, due_at=now)


def ask_ca(revocation: Revocation, now: datetime) -> Advance | Wait:
    """Ask the CA; one that has revoked it already says so, and that is as good."""
    certificate = revocation.certificate
    if certificate.ca_account_id is None:
        raise DomainError("revoke_elsewhere")
    account = db.session.get_one(CaAccount, certificate.ca_account_id)
    if account.paused_at is not None:
        raise AdapterError("ca_paused", permanent=False, name=account.name)
    ca_accounts.ensure_registered(account)
    leave_transaction()
    try:
        ca_accounts.connect(account).revoke(certificate.leaf_pem, revocation.reason)
    except AdapterError as error:
        if error.code == "ca_account_gone":
            ca_accounts.forget_registration(account)
        raise
    return Advance(
        RevocationEvent.REVOKE,
        due_at=None,
        values={"revoked_at": now},
        then=lambda: _conclude(revocation, certificate, now),
    )


def _conclude(revocation: Revocation, certificate: Certificate, now: datetime) -> None:
    reason = RevocationReason(revocation.reason)
    if mark_revoked(certificate, now, reason.name.lower(), revocation.requested_by, now):
        tell_revoked(certificate, reason.value, now, was_asked_for=True)


def mark_revoked(certificate: Certificate, at: datetime, reason: str, actor: str, now: datetime) -> bool:
    """Note that a certificate is revoked since `at`, within the caller's transaction. False if that was known."""
    unmarked = update(Certificate).where(Certificate.id == certificate.id, Certificate.revoked_at.is_(None))
    if db.session.execute(unmarked.values(revoked_at=at)).rowcount != 1:  # type: ignore[attr-defined]
        return False
    change = (certificate.source.value, "revoke", "revoked")
    note_change(Certificate.__tablename__, certificate.id, change, actor, now, reason)
    return True


def tell_revoked(
    certificate: Certificate, reason: int, now: datetime, *, was_asked_for: bool, is_replaced: bool = False
) -> None:
    """Tell the contacts, within the caller's transaction."""
    params = {
        "name": certificate.name,
        "names": list(certificate.names),
        "certificate_id": certificate.id,
        "serial": certificate.serial,
        "reason": reason,
        "was_asked_for": was_asked_for,
        "is_replaced": is_replaced,
    }
    noticing.tell(
        db.session,
        certificate.organisation_id,
        NoticeKind.REVOKED,
        subject_type=Certificate.__tablename__,
        subject_id=certificate.id,
        params=params,
        now=now,
    )


def _on_stop(revocation: Revocation, now: datetime) -> None:
    """The CA refused: contacts and operators are told, since an unrevoked certificate may be a leaked key's."""
    certificate = revocation.certificate
    params = {
        "name": certificate.name,
        "names": list(certificate.names),
        "certificate_id": certificate.id,
        "error_code": revocation.error_code,
        "error_params": revocation.error_params or {},
    }
    about = {"subject_type": Revocation.__tablename__, "subject_id": revocation.id}
    told = {**about, "params": params, "now": now}
    noticing.tell(db.session, revocation.organisation_id, NoticeKind.ACTION_REQUIRED, **told)  # type: ignore[arg-type]
    noticing.tell_operators(db.session, NoticeKind.ACTION_REQUIRED, **told)  # type: ignore[arg-type]


KIND: Kind[Revocation] = Kind(
    name="revocation",
    model=Revocation,
    transitions=TRANSITIONS,
    steps={RevocationState.AWAITING: await_live, RevocationState.REQUESTED: ask_ca},
    job=JobName.ADVANCE_REVOCATIONS,
    on_stop=_on_stop,
)

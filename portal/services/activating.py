"""A successor takes over from its predecessor; what people are told of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import select, update

from portal.domain.alarms import AlarmKind
from portal.domain.certificate import PrivateKey, read_facts, to_pem
from portal.domain.checks import CheckSubject
from portal.domain.crl import crl_url_of
from portal.domain.deployment import DeploymentState
from portal.domain.hosting import TRANSITIONS, HostingEvent, HostingState
from portal.domain.notices import NoticeKind
from portal.domain.states import advance
from portal.extensions import db
from portal.models.certificate import Certificate, Source
from portal.models.deployment import Deployment, DeploymentTarget
from portal.models.hosting import Hosting, Renewal
from portal.models.types import new_id
from portal.services import alarms, check_rows, crl_watching, noticing, renewing
from portal.services.acting import note_change
from portal.services.operations import WORKER_ACTOR
from portal.services.private_keys import seal_certificate_key

#: A CA is asked when it wants its certificate renewed this long after it issued it.
FIRST_LOOK = timedelta(minutes=5)


def successor_of(
    renewal: Renewal, chain: Sequence[x509.Certificate], key: PrivateKey | None, now: datetime
) -> Certificate:
    """The row of the issued certificate (leaf first in `chain`), its key sealed where we have it; not stored yet."""
    facts, predecessor = read_facts(chain[0]), renewal.predecessor
    successor = Certificate(
        id=new_id(),
        organisation_id=renewal.organisation_id,
        source=Source.ISSUED,
        name=predecessor.name,
        names=list(facts.names),
        names_text=" ".join(facts.names),
        domain_type=predecessor.domain_type,
        validation_type=predecessor.validation_type,
        brand=predecessor.brand,
        grade=predecessor.grade,
        issuer=facts.issuer[:255],
        serial=facts.serial,
        sha256=facts.sha256,
        key_type=facts.key_type,
        not_before=facts.not_before,
        not_after=facts.not_after,
        leaf_pem=to_pem(chain[:1]),
        chain_pem=to_pem(chain[1:]),
        has_client_auth=facts.has_client_auth,
        ca_account_id=renewal.ca_account_id,
        crl_url=crl_url_of(chain[0]) or "",
        applicant=renewal.applicant,
        predecessor_id=predecessor.id,
        version=predecessor.version + 1,
        created_at=now,
    )
    if key is not None:
        successor.private_key = seal_certificate_key(successor, key)
    return successor


def take_over(renewal: Renewal, successor: Certificate, now: datetime) -> None:
    """Store the successor, put it in the predecessor's place and schedule what the term still owes: one transaction.

    What comes after (deploying, telling) never holds the next renewal back.
    """
    db.session.add(successor)
    db.session.flush()
    crl_watching.watch(successor)
    db.session.execute(update(Renewal).where(Renewal.id == renewal.id).values(successor_id=successor.id))
    replaced = update(Certificate).where(Certificate.id == renewal.predecessor_id)
    db.session.execute(replaced.values(replaced_at=now))
    hosting = db.session.get_one(Hosting, renewal.hosting_id)
    hosting.certificate_id = successor.id
    if renewing.owes_renewal(hosting, successor):
        renewing.schedule_next(hosting, successor, now)
        check_rows.look_by(hosting, CheckSubject.ARI, now + FIRST_LOOK)
    else:
        change(hosting, HostingEvent.COMPLETE, WORKER_ACTOR, None, now)
        check_rows.end(hosting)
    db.session.flush()


def change(hosting: Hosting, event: HostingEvent, actor: str, reason: str | None, now: datetime) -> None:
    """Move a hosting along its transition table, with a history row, within the caller's transaction.

    Raises DomainError("transition_refused").
    """
    from_state = hosting.state
    to_state = advance(TRANSITIONS, from_state, event)
    moved = (
        update(Hosting).where(Hosting.id == hosting.id, Hosting.state == from_state).values(state=to_state)
    )
    db.session.execute(moved)
    note_change("hostings", hosting.id, (from_state, event, to_state), actor, now, reason)


def close(renewal: Renewal, now: datetime) -> None:
    """Tell the contacts that the renewal is done: where it is live, or that it waits to be installed (rule 14)."""
    assert renewal.successor is not None
    if renewal.alarm_rung:
        alarms.clear_for_renewal(renewal, now)
    was_revoked = {"subject_type": "certificates", "subject_id": renewal.predecessor_id}
    alarms.clear_alarm(AlarmKind.CERTIFICATE_REVOKED, now, **was_revoked)
    places = _places(renewal)
    kind = NoticeKind.RENEWED if places else NoticeKind.PLEASE_INSTALL
    coming = select(Renewal.next_attempt_at).where(
        Renewal.hosting_id == renewal.hosting_id, Renewal.sequence == renewal.sequence + 1
    )
    next_at = db.session.scalar(coming)
    params = _params(renewal) | {
        "new_serial": renewal.successor.serial,
        "new_not_after": renewal.successor.not_after.isoformat(),
        "targets": places,
        "next_renewal": next_at.isoformat() if next_at else None,
    }
    _tell(renewal, kind, renewal.successor.id, params, now)


def tell_stopped(renewal: Renewal, now: datetime) -> None:
    """A renewal needs a person: tell the contacts and the operators; a broken rule ends in 托管失败."""
    kind = NoticeKind.ACTION_REQUIRED
    if renewal.error_code == "spec_mismatch" and renewal.hosting.state is HostingState.HOSTED:
        change(renewal.hosting, HostingEvent.FAIL, WORKER_ACTOR, renewal.error_code, now)
        kind = NoticeKind.HOSTING_FAILED
    params = _params(renewal) | {
        "step": renewal.state.value,
        "error_code": renewal.error_code,
        "error_params": renewal.error_params or {},
    }
    _tell(renewal, kind, renewal.id, params, now, subject_type="renewals")


def _tell(
    renewal: Renewal,
    kind: NoticeKind,
    subject_id: str,
    params: dict[str, object],
    now: datetime,
    subject_type: str = "certificates",
) -> None:
    told = {"subject_type": subject_type, "subject_id": subject_id, "params": params, "now": now}
    noticing.tell(db.session(), renewal.organisation_id, kind, **told)  # type: ignore[arg-type]
    if kind in (NoticeKind.ACTION_REQUIRED, NoticeKind.HOSTING_FAILED):
        noticing.tell_operators(db.session(), kind, **told)  # type: ignore[arg-type]


def _params(renewal: Renewal) -> dict[str, object]:
    predecessor = renewal.predecessor
    return {
        "name": predecessor.name,
        "names": list(predecessor.names),
        "certificate_id": renewal.successor_id or predecessor.id,
        "renewal_id": renewal.id,
        "old_serial": predecessor.serial,
        "old_not_after": predecessor.not_after.isoformat(),
    }


def _places(renewal: Renewal) -> list[str]:
    query = (
        select(DeploymentTarget.product, DeploymentTarget.domain)
        .join(Deployment, Deployment.target_id == DeploymentTarget.id)
        .where(Deployment.renewal_id == renewal.id, Deployment.state == DeploymentState.LIVE)
        .order_by(DeploymentTarget.domain)
    )
    return [f"{product.upper()} · {domain}" for product, domain in db.session.execute(query)]

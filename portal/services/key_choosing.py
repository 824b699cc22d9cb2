"""What key the coming renewals of a hosted certificate get: the customer's choice (rule 11)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, update

from portal.domain.certificate import same_public_key, split_pem
from portal.domain.errors import DomainError
from portal.domain.renewal import KeySource, RenewalState
from portal.domain.signing_request import OFFERED_KEY_TYPES, read_csr
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.deployment import DeploymentTarget
from portal.models.hosting import Hosting, Renewal
from portal.queue import JobName, enqueue_after_commit
from portal.services import keying
from portal.services.acting import Actor, audit
from portal.services.certificates import get_certificate
from portal.services.hosting import ACTIVE, targets_of

#: The key of a renewal is not made before this step is done.
_BEFORE_KEY = (RenewalState.WAITING, RenewalState.STARTED, RenewalState.CHECKED)


@dataclass(frozen=True)
class Choice:
    """`key_type` None means that of the present certificate; `csr_pem` counts for CSR alone."""

    source: KeySource = KeySource.NEW
    key_type: str | None = None
    csr_pem: str = field(default="", repr=False)


@dataclass(frozen=True)
class Situation:
    """What there is to choose for. `targets` are served by us, and would not be any more with a customer's own key."""

    certificate: Certificate
    hosting: Hosting
    targets: tuple[DeploymentTarget, ...]
    renewal: Renewal | None

    @property
    def has_key(self) -> bool:
        return self.certificate.private_key is not None

    @property
    def is_too_late(self) -> bool:
        """A renewal is under way whose key is made already: the choice holds from the next one on."""
        return self.renewal is not None and self.renewal.state not in _BEFORE_KEY


def look(certificate_id: str, organisation_id: str) -> Situation:
    """Raises DomainError: certificate_not_found, certificate_not_hosted."""
    certificate = get_certificate(certificate_id, organisation_id)
    query = select(Hosting).where(Hosting.certificate_id == certificate.id, Hosting.state.in_(ACTIVE))
    hosting = db.session.scalar(query)
    if hosting is None:
        raise DomainError("certificate_not_hosted")
    under_way = select(Renewal).where(
        Renewal.hosting_id == hosting.id,
        Renewal.predecessor_id == certificate.id,
        Renewal.finished_at.is_(None),
    )
    renewal = db.session.scalar(under_way.order_by(Renewal.sequence.desc()).limit(1))
    return Situation(certificate, hosting, targets_of([certificate]).get(certificate.id, ()), renewal)


def choose(certificate_id: str, choice: Choice, actor: Actor, now: datetime) -> Situation:
    """Store the choice for all renewals whose key is not made yet; one that stopped for want of it goes on.

    Raises DomainError: those of `look`, key_type_not_offered, key_reuse_without_key, csr_key_compromised, and those
    of domain.signing_request.
    """
    seen = look(certificate_id, actor.organisation_id)
    hosting, certificate = seen.hosting, seen.certificate
    if choice.source is KeySource.REUSE and not seen.has_key:
        raise DomainError("key_reuse_without_key")
    csr_pem = read_csr(choice.csr_pem, certificate.names) if choice.source is KeySource.CSR else None
    if csr_pem is not None and seen.renewal is not None and seen.renewal.error_code == "csr_key_compromised":
        _refuse_same_key(csr_pem, certificate)
    if choice.key_type is not None and choice.key_type not in OFFERED_KEY_TYPES:
        raise DomainError("key_type_not_offered")
    hosting.key_source, hosting.csr_pem = choice.source, csr_pem
    hosting.key_type = choice.key_type if choice.source is KeySource.NEW else None
    params = {"source": choice.source.value, "key_type": hosting.key_type}
    audit(actor, "hosting.choose_key", "hostings", hosting.id, now, **params)
    if seen.renewal is not None and not seen.is_too_late:
        _hand_on(seen.renewal, hosting, now)
    db.session.commit()
    return seen


def _refuse_same_key(csr_pem: str, certificate: Certificate) -> None:
    (leaf, *_) = split_pem(certificate.leaf_pem)
    if same_public_key(keying.public_key_of(csr_pem), leaf.public_key()):
        raise DomainError("csr_key_compromised")


def _hand_on(renewal: Renewal, hosting: Hosting, now: datetime) -> None:
    """The renewal that waits gets the key type; one that stopped is tried again at once."""
    key_type = hosting.key_type or hosting.certificate.key_type
    early = update(Renewal).where(Renewal.id == renewal.id, Renewal.state.in_(_BEFORE_KEY))
    db.session.execute(early.values(key_type=key_type))
    stopped = early.where(Renewal.stopped_at.is_not(None))
    result = db.session.execute(stopped.values(next_attempt_at=now, rung_until=None))
    if result.rowcount:  # type: ignore[attr-defined]
        enqueue_after_commit(db.session(), JobName.ADVANCE_RENEWALS, [renewal.id])

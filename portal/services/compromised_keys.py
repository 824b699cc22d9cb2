"""A key that leaked is never used again, whatever was chosen for the renewals and however far one has come."""

from __future__ import annotations

from cryptography import x509
from sqlalchemy import update

from portal.domain.certificate import same_public_key
from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.keys import make_csr, make_key
from portal.domain.renewal import KeySource, RenewalState
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.services.private_keys import seal_renewal_key

#: No key is there yet: the step that makes it heeds the reason.
_BEFORE_KEY = (RenewalState.WAITING, RenewalState.STARTED, RenewalState.CHECKED)

#: The CSR goes to the CA after these: until then the key of a renewal can still be another one.
_NOT_SENT = (RenewalState.KEYED, RenewalState.ORDERED, RenewalState.PRESENTED, RenewalState.VALIDATING)

#: A worker that has the renewal in hand loses its claim, and with it the old key.
_TAKEN_AWAY = {"fence": Renewal.fence + 1, "lease_owner": None, "lease_until": None}


def forbid_reuse(hosting: Hosting, renewal: Renewal, leaked: Certificate) -> None:
    """Coming renewals get new keys, and so does the one under way, within the caller's transaction.

    A customer's own CSR stays: the renewal takes it if it is of another key, and asks for another one if not. Raises
    DomainError("renewal_under_way") where the leaked key cannot be taken out of the renewal under way any more.
    """
    if hosting.key_source is KeySource.REUSE:
        hosting.key_source = KeySource.NEW
    early = update(Renewal).where(Renewal.id == renewal.id, Renewal.state.in_(_BEFORE_KEY))
    db.session.execute(early.values(due_reason=DueReason.KEY_COMPROMISE, **_TAKEN_AWAY))
    db.session.flush()
    db.session.refresh(renewal)
    if renewal.csr_pem is not None and _has_key_of(renewal.csr_pem, leaked):
        _change_key(renewal, leaked)


def _change_key(renewal: Renewal, leaked: Certificate) -> None:
    if renewal.private_key is None:
        raise DomainError("renewal_under_way")
    key = make_key(leaked.key_type)
    fresh = {"private_key": seal_renewal_key(renewal, key), "csr_pem": make_csr(renewal.names, key)}
    not_sent = update(Renewal).where(Renewal.id == renewal.id, Renewal.state.in_(_NOT_SENT))
    if db.session.execute(not_sent.values(**fresh, **_TAKEN_AWAY)).rowcount != 1:  # type: ignore[attr-defined]
        raise DomainError("renewal_under_way")
    db.session.refresh(renewal)


def _has_key_of(csr_pem: str, certificate: Certificate) -> bool:
    asked = x509.load_pem_x509_csr(csr_pem.encode()).public_key()
    has = x509.load_pem_x509_certificate(certificate.leaf_pem.encode()).public_key()
    return same_public_key(asked, has)

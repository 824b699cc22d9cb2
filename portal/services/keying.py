"""The key of a renewal: made anew, taken over, or the customer's own behind a CSR (rule 11)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from portal.domain.certificate import PrivateKey
from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.keys import make_csr, make_key
from portal.domain.renewal import KeySource, RenewalState
from portal.models.hosting import Renewal
from portal.queue import JobName
from portal.services.operations import leave_transaction
from portal.services.private_keys import open_certificate_key, open_renewal_key, seal_renewal_key


@dataclass(frozen=True)
class Keyed:
    """What is stored before anything is ordered: the CSR, and the sealed key unless it is the customer's own."""

    csr_pem: str
    private_key: bytes | None


def key_source(renewal: Renewal) -> KeySource:
    """Where the key comes from. A compromised one is never used again."""
    source = renewal.hosting.key_source
    if renewal.due_reason is DueReason.KEY_COMPROMISE and source is KeySource.REUSE:
        return KeySource.NEW
    return source


def make(renewal: Renewal) -> Keyed:
    """Make or find the key and its CSR.

    Raises DomainError: no_private_key (reuse asked for, and only the public part is here), csr_missing,
    csr_key_compromised (the customer has to give another CSR), unsupported_key_type.
    """
    source = key_source(renewal)
    if source is KeySource.CSR:
        return _customers_own(renewal)
    key = open_certificate_key(renewal.predecessor) if source is KeySource.REUSE else _new_key(renewal)
    return Keyed(make_csr(renewal.names, key), seal_renewal_key(renewal, key))


def job_of(renewal: Renewal) -> JobName:
    """Making an RSA key keeps a processor busy for up to a second: it waits behind all other work, in its own queue."""
    is_slow = renewal.state is RenewalState.CHECKED and renewal.key_type.startswith("rsa-")
    if is_slow and key_source(renewal) is KeySource.NEW:
        return JobName.MAKE_KEYS
    return JobName.ADVANCE_RENEWALS


def find_key(renewal: Renewal) -> PrivateKey | None:
    """The key that was stored for this renewal; None where it is the customer's own."""
    return open_renewal_key(renewal) if renewal.private_key is not None else None


def public_key_of(csr_pem: str) -> PublicKeyTypes:
    """The key that a CSR asks a certificate for."""
    return x509.load_pem_x509_csr(csr_pem.encode()).public_key()


def _new_key(renewal: Renewal) -> PrivateKey:
    if renewal.key_type.startswith("rsa-"):
        leave_transaction()
    return make_key(renewal.key_type)


def _customers_own(renewal: Renewal) -> Keyed:
    csr_pem = renewal.hosting.csr_pem
    if csr_pem is None:
        raise DomainError("csr_missing")
    if renewal.due_reason is DueReason.KEY_COMPROMISE and _is_same_key(renewal, csr_pem):
        raise DomainError("csr_key_compromised")
    return Keyed(csr_pem, None)


def _is_same_key(renewal: Renewal, csr_pem: str) -> bool:
    leaf = x509.load_pem_x509_certificate(renewal.predecessor.leaf_pem.encode())
    return leaf.public_key() == public_key_of(csr_pem)

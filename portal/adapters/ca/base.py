"""What a certificate authority can be asked, one resumable step at a time. The words are RFC 8555's.

Every call is one exchange and returns at once; nothing here waits. A caller stores what it will need again (order
URL, CSR, key) before the call that uses it, so that after a crash the same order goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from portal.adapters.ca.ledger import Ledger


class CaOrderState(StrEnum):
    """Order states of RFC 8555, 7.1.6."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class ChallengeKind(StrEnum):
    HTTP_01 = "http-01"
    DNS_01 = "dns-01"


@dataclass(frozen=True)
class Challenge:
    """A proof that the CA would accept. `dns_value` is the TXT value for dns-01 (RFC 8555, 8.4)."""

    kind: ChallengeKind
    url: str
    token: str
    key_authorization: str
    dns_value: str


@dataclass(frozen=True)
class Authorization:
    """What the CA wants proved of one name. `name` has no wildcard label; `is_wildcard` says whether it had.

    `error` is the CA's own words on why it failed, shortened, safe to show.
    """

    name: str
    url: str
    state: str
    is_wildcard: bool = False
    challenges: tuple[Challenge, ...] = ()
    error: str | None = None

    @property
    def is_valid(self) -> bool:
        return self.state == "valid"

    @property
    def is_pending(self) -> bool:
        return self.state == "pending"


@dataclass(frozen=True)
class CaOrder:
    """An order as the CA sees it now. `retry_at` is set where the CA said when to ask again."""

    url: str
    state: CaOrderState
    authorizations: tuple[Authorization, ...] = ()
    retry_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True)
class RenewalInfo:
    """A CA's suggested renewal window (RFC 9773, 4.2). `retry_at` is when to ask again, where it said so."""

    start: datetime
    end: datetime
    explanation_url: str | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True)
class CaSettings:
    """One account at a CA: its public settings, its secrets in clear, and how long a call may take (seconds).

    `ledger` is where a CA of ours keeps what must outlast a process; `public_url` is where it publishes its revocation
    list and its issuing certificate. ACME servers need neither.
    """

    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    account_url: str | None = None
    timeout: float = 20.0
    ledger: Ledger | None = field(default=None, repr=False)
    public_url: str | None = None


class CertificateAuthority(Protocol):
    """All calls raise AdapterError. Codes that a caller acts on: ca_order_gone (make a new order) and ca_account_gone
    (register again), both temporary since acting on them mends them; ca_rate_limited, ca_unavailable (temporary);
    ca_refused (permanent); ca_revoke_unsupported (permanent).
    """

    @classmethod
    def make_secrets(cls, config: Mapping[str, Any]) -> dict[str, str]:
        """What a new account needs that only this side knows (an account key, a private CA's own key)."""
        ...

    def register(self) -> str:
        """Make or find the account and return its URL. Safe to repeat."""
        ...

    def new_order(self, names: Sequence[str], replaces: str | None = None) -> CaOrder:
        """Order a certificate for `names` (lower-case A-labels). Not idempotent: store the URL at once.

        The authorizations are not looked at yet: `get_order` does that, once the URL is safe. `replaces` is the
        predecessor's identifier (see `ari.certificate_id`), if this account issued it; a CA that refuses it is asked
        once more without.
        """
        ...

    def get_order(self, url: str) -> CaOrder:
        """Look at an order once, its authorizations included while it is pending, ready or invalid.

        A CA without a memory shows an order as ready again after it was finalized: finalize it again then.
        """
        ...

    def answer(self, challenge: Challenge) -> None:
        """Tell the CA that the proof is in place. Safe to repeat."""
        ...

    def finalize(self, url: str, csr_pem: str) -> CaOrder:
        """Send the CSR of an order that is ready; in any other state return it as it is (invalid: ca_order_gone)."""
        ...

    def download(self, url: str, csr_pem: str) -> str:
        """The issued chain as PEM, leaf first. The order must be valid. Safe to repeat: always the same certificate."""
        ...

    def forget_proofs(self, url: str) -> None:
        """See to it that the proofs of this order spare no later order of the account its own (RFC 8555, 7.5.2): an
        account serves many customers, and one's proof says nothing of another. Safe to repeat. The order may be lost
        by it, so it is called once the certificate is stored.
        """
        ...

    def revoke(self, leaf_pem: str, reason: int = 0) -> None:
        """Revoke (RFC 5280, 5.3.1 reason codes). Already revoked counts as done."""
        ...

    def renewal_info(self, certificate_id: str) -> RenewalInfo | None:
        """The suggested window for a certificate (see `ari.certificate_id`); None where the CA offers none for it."""
        ...

    def server_time(self) -> datetime | None:
        """The CA's clock (Date header), asked if it was not heard lately; None where the CA has no clock of its own."""
        ...

    def caa_identities(self) -> tuple[str, ...]:
        """The domains that CAA records know this CA by (directory meta, RFC 8555, 7.1.1); empty where unknown."""
        ...

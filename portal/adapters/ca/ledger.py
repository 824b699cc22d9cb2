"""What a CA of ours must keep beyond a process, as the adapters see it; portal.services.ca_ledger keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class KeptOrder:
    """A manual order as it stands. `state` is one of portal.domain.manual_order.ManualOrderState."""

    id: str
    names: tuple[str, ...]
    state: str
    csr_pem: str | None
    chain_pem: str | None
    refusal: str | None


@dataclass(frozen=True)
class Revoked:
    """One line of a revocation list. `serial` is a positive integer, `reason` a code of RFC 5280, 5.3.1.

    `not_after` is the end of the certificate: from then on the line need not be listed any more.
    """

    serial: int
    reason: int
    revoked_at: datetime
    not_after: datetime


class Ledger(Protocol):
    """Bound to one CA account. Calls are short transactions of their own; `now` is aware UTC."""

    def place(self, names: Sequence[str], now: datetime) -> KeptOrder:
        """Keep a new order."""
        ...

    def find(self, order_id: str) -> KeptOrder | None:
        """An order of this account."""
        ...

    def submit(self, order_id: str, csr_pem: str, now: datetime) -> KeptOrder:
        """Give an order its CSR, so that operators can hand it in. Safe to repeat."""
        ...

    def revoke(self, serial: int, reason: int, not_after: datetime, now: datetime) -> None:
        """Add a line to the revocation list. Safe to repeat: the first one stays."""
        ...

    def revoked(self, now: datetime) -> tuple[Revoked, ...]:
        """The lines of the revocation list, without those of certificates that expired long ago."""
        ...

    def bind(self, order: str, key: str, now: datetime) -> bool:
        """Whether the order (a text that stands for it) is for this key (likewise): the first key given is the one."""
        ...

"""A certificate authority without an interface: operators carry the CSR there and bring the certificate back.

Orders stand in the ledger. An order is ready at once (what is to be proved is between the operators and the CA), under
review from its CSR on, and valid or refused as soon as an operator says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from portal.adapters.ca.base import Authorization, CaOrder, CaOrderState, CaSettings, Challenge, RenewalInfo
from portal.adapters.ca.csr import read_csr, refused
from portal.adapters.ca.ledger import KeptOrder, Ledger
from portal.adapters.errors import AdapterError
from portal.domain.manual_order import ManualOrderState

PREFIX = "urn:perennial:manual-order:"
#: How soon an order under review is looked at again. An operator who finishes it wakes its renewal at once.
LOOK_AGAIN = timedelta(hours=1)

_STATES: Mapping[str, CaOrderState] = {
    ManualOrderState.PLACED: CaOrderState.READY,
    ManualOrderState.UNDER_REVIEW: CaOrderState.PROCESSING,
    ManualOrderState.ISSUED: CaOrderState.VALID,
    ManualOrderState.REFUSED: CaOrderState.INVALID,
}


def url_of(order_id: str) -> str:
    """The URL of an order."""
    return PREFIX + order_id


class ManualCa:
    """`config`: portal_url (where operators hand orders in), guidance (notes for them), caa_identity; no secrets."""

    def __init__(self, settings: CaSettings) -> None:
        self._name = settings.name
        self._config = settings.config
        self._ledger = settings.ledger

    @classmethod
    def make_secrets(cls, config: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG003
        """It has none."""
        return {}

    def register(self) -> str:
        """The account at the CA is the operators' own."""
        return f"urn:perennial:manual-ca:{quote(self._name)}"

    def new_order(self, names: Sequence[str], replaces: str | None = None) -> CaOrder:  # noqa: ARG002
        """Keep an order. Raises AdapterError("ca_refused") for no names."""
        if not names:
            raise refused("an order has names")
        placed = self._kept().place(tuple(dict.fromkeys(names)), datetime.now(UTC))
        return CaOrder(url_of(placed.id), CaOrderState.READY)

    def get_order(self, url: str) -> CaOrder:
        """As the operators left it. A refused one says why, as its names' failed checks do."""
        return _as_seen(self._find(url))

    def answer(self, challenge: Challenge) -> None:
        """It asks us for no proofs."""

    def finalize(self, url: str, csr_pem: str) -> CaOrder:
        """Hand the CSR to the operators; from here on the order is under review."""
        order = self._find(url)
        if order.state == ManualOrderState.REFUSED:
            raise AdapterError("ca_order_gone", permanent=False)
        if order.state == ManualOrderState.PLACED:
            read_csr(csr_pem, order.names)
            order = self._kept().submit(order.id, csr_pem, datetime.now(UTC))
        return _as_seen(order)

    def download(self, url: str, csr_pem: str) -> str:  # noqa: ARG002
        """The chain that an operator pasted."""
        order = self._find(url)
        if order.chain_pem is None:
            raise AdapterError("ca_unavailable", permanent=False, detail="the order is under review")
        return order.chain_pem

    def forget_proofs(self, url: str) -> None:
        """This CA asks for no proofs."""

    def revoke(self, leaf_pem: str, reason: int = 0) -> None:  # noqa: ARG002
        """Operators revoke at the CA. Raises AdapterError("ca_revoke_unsupported")."""
        raise AdapterError("ca_revoke_unsupported", permanent=True)

    def renewal_info(self, certificate_id: str) -> RenewalInfo | None:  # noqa: ARG002
        """Nobody tells us."""
        return None

    def server_time(self) -> datetime | None:
        """It has no clock that we could ask."""
        return None

    def caa_identities(self) -> tuple[str, ...]:
        """What the settings say."""
        return tuple(str(self._config.get("caa_identity") or "").split())

    def _kept(self) -> Ledger:
        if self._ledger is None:
            raise refused("the account has no ledger")
        return self._ledger

    def _find(self, url: str) -> KeptOrder:
        order = self._kept().find(url.removeprefix(PREFIX)) if url.startswith(PREFIX) else None
        if order is None:
            raise AdapterError("ca_order_gone", permanent=False)
        return order


def _as_seen(order: KeptOrder) -> CaOrder:
    state = _STATES[order.state]
    url = url_of(order.id)
    if state is CaOrderState.INVALID:
        said = order.refusal or ""
        failed = (Authorization(name=order.names[0], url=url, state="invalid", error=said),)
        return CaOrder(url, state, authorizations=failed, error=said)
    retry_at = datetime.now(UTC) + LOOK_AGAIN if state is CaOrderState.PROCESSING else None
    return CaOrder(url, state, retry_at=retry_at)

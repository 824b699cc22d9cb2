"""What one process has just seen of an order, so that the steps of one drive need not ask for it again and again.

Nothing depends on it: a look that is not remembered is taken. It is safe because an order only ever goes forward
(pending, ready, processing, valid; RFC 8555, 7.1.6) and because the server judges again whatever is sent:
 - a pending order of which nothing was answered since is only used to place proofs and to answer them, and both may be
   repeated; tokens and addresses of an order never change;
 - a ready order is only used to send the CSR, which the server refuses (orderNotReady) in any other state;
 - a valid order stays valid, and so does its certificate's address.
Whether a busy CA has got further is never answered from memory, nor is why an order failed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from portal.adapters.ca.acme_answers import OrderBody
from portal.adapters.ca.base import Authorization, CaOrderState

#: How long a look counts (seconds).
LOOK_AGE = 5.0
_MOST_ORDERS = 16


@dataclass(frozen=True)
class Look:
    body: OrderBody
    at: float
    authorizations: tuple[Authorization, ...] = ()
    authorizations_at: float = 0.0
    is_answered: bool = False


class Looks:
    """For one client, hence for one thread."""

    def __init__(self, age: float = LOOK_AGE) -> None:
        self._age = age
        self._known: dict[str, Look] = {}

    def keep(self, url: str, body: OrderBody) -> None:
        """An answer that showed the order; what was seen of its authorizations keeps its own age."""
        before = self._known.get(url) or Look(body, 0.0, is_answered=True)
        self._put(url, replace(before, body=body, at=time.monotonic()))

    def keep_new(self, url: str, body: OrderBody) -> None:
        """An order that was just made: nothing of it can have been answered."""
        self._put(url, Look(body, time.monotonic()))

    def keep_authorizations(self, url: str, authorizations: tuple[Authorization, ...]) -> None:
        """All of an order's authorizations, just looked at."""
        if (look := self._fresh(url)) is not None:
            self._known[url] = replace(
                look, authorizations=authorizations, authorizations_at=time.monotonic()
            )

    def note_answer(self) -> None:
        """A challenge was answered: pending orders are looked at anew from now on."""
        self._known = {url: replace(look, is_answered=True) for url, look in self._known.items()}

    def forget(self, url: str | None = None) -> None:
        """An order (or all) may have changed in a way that nobody saw."""
        if url is None:
            self._known.clear()
        else:
            self._known.pop(url, None)

    def body(self, url: str) -> OrderBody | None:
        """The order, where what was seen of it may be acted upon."""
        look = self._fresh(url)
        if look is None:
            return None
        is_settled = look.body.state in {CaOrderState.READY, CaOrderState.VALID}
        is_untouched = look.body.state is CaOrderState.PENDING and not look.is_answered
        return look.body if is_settled or is_untouched else None

    def authorizations(self, url: str, state: CaOrderState) -> tuple[Authorization, ...]:
        """Those of an order in this state; empty where they have to be looked at. In a ready order all are valid."""
        look = self._known.get(url)
        if look is None or state is CaOrderState.INVALID or not self._counts(look.authorizations_at):
            return ()
        if state is CaOrderState.READY:
            return tuple(replace(one, state="valid") for one in look.authorizations)
        return look.authorizations

    def _fresh(self, url: str) -> Look | None:
        look = self._known.get(url)
        return look if look is not None and self._counts(look.at) else None

    def _counts(self, at: float) -> bool:
        return time.monotonic() - at <= self._age

    def _put(self, url: str, look: Look) -> None:
        self._known.pop(url, None)
        while len(self._known) >= _MOST_ORDERS:
            self._known.pop(next(iter(self._known)))
        self._known[url] = look

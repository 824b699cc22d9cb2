"""Which CA account takes the next order of a renewal, and when: pauses, limits, concurrency, fallbacks.

Asked before an order is placed and never after. Nothing here can be overridden, by an emergency least of all: what
the CA would refuse anyway must not be spent on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm.attributes import set_committed_value

from portal.adapters.errors import AdapterError
from portal.domain.due import emergency_at
from portal.extensions import db
from portal.models.catalogue import CaAccount, ProductFallback
from portal.models.hosting import Renewal
from portal.services import ca_quota
from portal.services.ca_breaker import FAILURES_TO_OPEN, note_failure, note_success, take_probe
from portal.services.operations import leave_transaction
from portal.services.renewal_windows import replaces_for
from portal.services.renewing import jitter_of

__all__ = ["WAITS", "admit", "held_back", "note_failure", "note_success"]

log = structlog.get_logger(__name__)

#: Codes that `admit` raises. They are waits, not failures: a step that meets one should wait, and count no try.
WAITS = frozenset({"ca_paused", "ca_circuit_open", "ca_rate_limited", "ca_busy"})

#: A paused account is asked for again after this; resuming it wakes its renewals anyway.
PAUSED_AGAIN = timedelta(minutes=10)
#: Renewals that wait for a breaker come back spread over this, and so do those that wait for its probe.
SPREAD = timedelta(minutes=1)
PROBE_AGAIN = timedelta(seconds=30)


def admit(renewal: Renewal, now: datetime) -> CaAccount:
    """The account that the renewal's order may be placed with now; its tokens are taken, and never given back.

    1. Its product's account is asked, then the product's fallbacks by position, skipping those that are paused, open
       or without quota. One that only has too many orders open is waited for: that passes in moments.
    2. The account is written on the renewal, if the claim on it still holds, and everything is committed together.
    Raises AdapterError, temporary, with one of WAITS and the earliest moment at which another try makes sense.
    """
    leave_transaction()
    refusals: list[AdapterError] = []
    for account in _candidates(renewal):
        refusal = _admit_at(account, renewal, now)
        if refusal is None:
            _settle(renewal, account)
            return account
        refusals.append(refusal)
        if refusal.code == "ca_busy":
            break
    raise _soonest(refusals)


def _candidates(renewal: Renewal) -> Iterator[CaAccount]:
    """The product's own account; where that has refused, its fallbacks in their order."""
    product = renewal.hosting.product
    own, product_id = product.ca_account_id, product.id
    yield _fresh(own)
    fallbacks = select(ProductFallback.ca_account_id).where(ProductFallback.product_id == product_id)
    for account_id in db.session.scalars(fallbacks.order_by(ProductFallback.position)).all():
        if account_id != own:
            yield _fresh(account_id)


def _fresh(account_id: str) -> CaAccount:
    """The account as it is now, whatever was loaded before."""
    return db.session.get_one(CaAccount, account_id, populate_existing=True)


def _admit_at(account: CaAccount, renewal: Renewal, now: datetime) -> AdapterError | None:
    """Why this account cannot take the order now; None if it does. What was taken is not kept where it cannot."""
    for gate in GATES:
        if (refusal := gate(account, renewal, now)) is not None:
            return refusal
    spared = replaces_for(renewal, account) is not None
    wanted = ca_quota.Wanted(renewal.id, tuple(renewal.names), spared, *_standing(renewal))
    refusal = ca_quota.take(account, wanted, now)
    if refusal is None and not take_probe(account, now):
        refusal = _wait("ca_circuit_open", account, now + PROBE_AGAIN + _spread(renewal))
    if refusal is not None:
        db.session.rollback()
        db.session.refresh(renewal)
        leave_transaction()
        if (turn := ca_quota.turn_of(refusal)) is not None:
            refusal.not_before = ca_quota.take_turn(account, turn, wanted, now)
            leave_transaction()
    return refusal


def _standing(renewal: Renewal) -> tuple[bool, datetime]:
    """Whether the renewal has waited for its turn, and from when on it goes before all others."""
    has_waited = renewal.error_code in {"ca_busy", "ca_rate_limited"}
    predecessor = renewal.predecessor
    return has_waited, emergency_at(predecessor.not_before, predecessor.not_after)


def _paused(account: CaAccount, _renewal: Renewal, now: datetime) -> AdapterError | None:
    return _wait("ca_paused", account, now + PAUSED_AGAIN) if account.paused_at is not None else None


def _open(account: CaAccount, renewal: Renewal, now: datetime) -> AdapterError | None:
    is_open = account.failures >= FAILURES_TO_OPEN and account.open_until is not None
    if not is_open or account.open_until is None or account.open_until <= now:
        return None
    return _wait("ca_circuit_open", account, account.open_until + _spread(renewal))


def _limited(account: CaAccount, renewal: Renewal, now: datetime) -> AdapterError | None:
    if account.limited_until is None or account.limited_until <= now:
        return None
    return _wait("ca_rate_limited", account, account.limited_until + _spread(renewal))


Gate = Callable[[CaAccount, Renewal, datetime], AdapterError | None]
#: In this order; none of them takes anything.
GATES: tuple[Gate, ...] = (_paused, _open, _limited)


def held_back(account: CaAccount, renewal: Renewal, now: datetime) -> AdapterError | None:
    """Why the steps of an order that is placed already have to wait as well; None if they may go on."""
    return next((refusal for gate in GATES if (refusal := gate(account, renewal, now)) is not None), None)


def _wait(code: str, account: CaAccount, until: datetime) -> AdapterError:
    return AdapterError(code, permanent=False, not_before=until, name=account.name)


def _spread(renewal: Renewal) -> timedelta:
    return SPREAD * jitter_of(renewal.id)


def _soonest(refusals: list[AdapterError]) -> AdapterError:
    """What the product's own account said, and the earliest moment that any named."""
    first = refusals[0]
    moments = [one.not_before for one in refusals if one.not_before is not None]
    return AdapterError(first.code, permanent=False, not_before=min(moments), **first.params)


def _settle(renewal: Renewal, account: CaAccount) -> None:
    """Write which account it is, before anything is asked of it; only while the claim on the renewal holds."""
    if renewal.ca_account_id != account.id:
        mine = (Renewal.id == renewal.id, Renewal.fence == renewal.fence, Renewal.order_url.is_(None))
        chosen = update(Renewal).where(*mine).values(ca_account_id=account.id)
        db.session.execute(chosen.execution_options(synchronize_session=False))
        set_committed_value(renewal, "ca_account_id", account.id)
        log.info("ca_account_chosen", renewal=renewal.id, account=account.name)
    db.session.commit()

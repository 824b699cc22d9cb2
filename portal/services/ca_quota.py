"""An account's quota: tokens of its limits, orders open at once, and turns for those who have to wait.

Tokens of limits that count orders are taken with every order; those that count certificates once for a renewal, since
no more than one certificate comes of it. A token that was taken stays taken, whatever became of the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import func, select, union, update

from portal.adapters.errors import AdapterError
from portal.domain.limited_names import hold_scopes
from portal.domain.rate_limits import Event, Limit, read_limits, read_max_in_flight, scopes
from portal.domain.renewal import AT_THE_CA
from portal.extensions import db
from portal.models.authority import RateBucket
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.services import ca_buckets
from portal.services.ca_breaker import HELD
from portal.services.ca_buckets import BusyBucket, Key
from portal.services.operations import settings

#: Buckets that are no limits: renewals whose certificate is counted already; orders about to be placed; turns.
GRANTED, IN_FLIGHT, QUEUE = "granted", "in_flight", "queue"
#: How long an order stays open at a CA, as a guess for the turns of those that wait for one to close.
ORDER_TIME = timedelta(seconds=10)
_LONGEST_SCOPE = 255


@dataclass(frozen=True)
class Wanted:
    """An order as quotas see it. `is_spared`: it says which certificate it replaces. `has_waited`: its turn has come.

    From `emergency_at` on it waits for a token, but in no queue.
    """

    renewal_id: str
    names: tuple[str, ...]
    is_spared: bool
    has_waited: bool
    emergency_at: datetime


@dataclass(frozen=True)
class Turn:
    """What is waited for, from when it can be had, and how often one comes free."""

    key: Key
    free_at: datetime
    interval: timedelta


class NoQuota(AdapterError):
    """A wait for a token; `turn` says which queue it waits in, if any."""

    def __init__(self, code: str, account: CaAccount, until: datetime, turn: Turn | None = None) -> None:
        super().__init__(code, permanent=False, not_before=until, name=account.name)
        self.turn = turn


def turn_of(refusal: AdapterError) -> Turn | None:
    """The queue that a refusal sends to."""
    return refusal.turn if isinstance(refusal, NoQuota) else None


def take(account: CaAccount, wanted: Wanted, now: datetime) -> NoQuota | None:
    """Take everything that the order needs, within the caller's transaction; or say what is lacking.

    1. All its buckets are read in one look; names that the CA holds back, and names that failed too often, wait.
    2. The account's row is locked where its concurrency is limited, and open orders are counted.
    3. Tokens are taken in the order of their keys. The caller rolls back where anything was refused.
    """
    limits = read_limits(account.config)
    tokens = _tokens(limits, wanted)
    failing = [
        (one, (one.name, scope))
        for one in limits
        if one.event is Event.FAILURE
        for scope in scopes(one, wanted.names)
    ]
    held = [(HELD, scope) for scope in hold_scopes(wanted.names)]
    granted = (GRANTED, wanted.renewal_id)
    queues = [_queue(key) for _, key in tokens]
    seen = ca_buckets.read(account.id, [*held, granted, *queues, *(key for _, key in (*tokens, *failing))])
    waits = [seen[key] for key in held if key in seen]
    waits += [one.free_at(seen.get(key), now) for one, key in failing]
    if (until := max(waits, default=now)) > now:
        return NoQuota("ca_rate_limited", account, until)
    try:
        return _take_slot(account, wanted, now) or _take_tokens(account, wanted, tokens, seen, now)
    except BusyBucket:
        return NoQuota("ca_busy", account, now + timedelta(seconds=1))


def take_turn(account: CaAccount, turn: Turn, wanted: Wanted, now: datetime) -> datetime:
    """A place in the queue: when to try again. In an emergency that is as soon as anything comes free.

    Within the caller's transaction, after the tokens that were not enough were given back.
    """
    if now >= wanted.emergency_at:
        return turn.free_at
    key = _queue(turn.key)
    try:
        after = ca_buckets.move(
            account.id,
            key,
            ca_buckets.read(account.id, [key]).get(key),
            lambda end: max(end or turn.free_at, turn.free_at) + turn.interval,
        )
    except BusyBucket:
        return turn.free_at
    place = (after or turn.free_at) - turn.interval
    return max(turn.free_at, min(place, wanted.emergency_at))


def in_flight(account_id: str, now: datetime, but_not: str = "") -> int:
    """Orders that are open at an account, or about to be placed."""
    open_orders = select(Renewal.id.label("id")).where(
        Renewal.started_at.is_not(None),
        Renewal.finished_at.is_(None),
        Renewal.ca_account_id == account_id,
        Renewal.state.in_(AT_THE_CA),
    )
    about_to_be = select(RateBucket.scope).where(
        RateBucket.ca_account_id == account_id, RateBucket.limit_name == IN_FLIGHT, RateBucket.full_at > now
    )
    both = union(open_orders, about_to_be).subquery()
    return db.session.scalar(select(func.count()).select_from(both).where(both.c.id != but_not)) or 0


def _tokens(limits: tuple[Limit, ...], wanted: Wanted) -> list[tuple[Limit, Key]]:
    """What the order takes from, in the order of the keys."""
    counting = [
        one
        for one in limits
        if one.event is not Event.FAILURE and not (one.spares_replacements and wanted.is_spared)
    ]
    found = [(one, (one.name, scope)) for one in counting for scope in scopes(one, wanted.names)]
    return sorted(found, key=lambda pair: pair[1])


def _take_slot(account: CaAccount, wanted: Wanted, now: datetime) -> NoQuota | None:
    """One of the orders that may be open at once.

    A renewal counts from here on, before its order is on its row: by a reservation that outlives the step. Everybody
    who counts holds the account's row meanwhile, so that no two see the same last place.
    """
    most = read_max_in_flight(account.config)
    if most is None:
        return None
    row = update(CaAccount).where(CaAccount.id == account.id).values(failures=CaAccount.failures)
    db.session.execute(row.execution_options(synchronize_session=False))
    if in_flight(account.id, now, but_not=wanted.renewal_id) >= most:
        turn = Turn((IN_FLIGHT, ""), now + timedelta(seconds=1), ORDER_TIME / most)
        return NoQuota("ca_busy", account, turn.free_at, turn)
    until = now + timedelta(seconds=settings().lease_seconds + settings().step_timeout)
    key = (IN_FLIGHT, wanted.renewal_id)
    ca_buckets.move(account.id, key, None, lambda _known: until)
    return None


def _take_tokens(
    account: CaAccount,
    wanted: Wanted,
    tokens: list[tuple[Limit, Key]],
    seen: dict[Key, datetime],
    now: datetime,
) -> NoQuota | None:
    is_counted = seen.get((GRANTED, wanted.renewal_id), now) > now
    needed = [(one, key) for one, key in tokens if not (is_counted and one.event is Event.CERTIFICATE)]
    for limit, key in needed:
        known, queue = seen.get(key), seen.get(_queue(key), now)
        must_queue = queue > now and limit.left(known, now) <= 1 and not wanted.has_waited
        if must_queue and now < wanted.emergency_at:
            return NoQuota("ca_rate_limited", account, queue, Turn(key, now, limit.interval))
        if ca_buckets.move(account.id, key, known, partial(limit.take, now=now)) is None:
            now_known = ca_buckets.read(account.id, [key]).get(key)
            free_at = limit.free_at(now_known, now)
            return NoQuota("ca_rate_limited", account, free_at, Turn(key, free_at, limit.interval))
    certificates = [one.period for one, _ in needed if one.event is Event.CERTIFICATE]
    if certificates:
        until = now + max(certificates)
        known = seen.get((GRANTED, wanted.renewal_id))
        ca_buckets.move(account.id, (GRANTED, wanted.renewal_id), known, lambda _known: until)
    return None


def _queue(key: Key) -> Key:
    return QUEUE, f"{key[0]}:{key[1]}"[:_LONGEST_SCOPE]

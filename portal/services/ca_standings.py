"""How each CA account stands: whether it takes orders, what is left of its quota, what waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select

from portal.domain.rate_limits import Counted, Limit, read_limits, read_max_in_flight
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.services import ca_accounts, ca_buckets, ca_quota
from portal.services.ca_breaker import FAILURES_TO_OPEN, HELD
from portal.services.ca_capacity import WAITS

#: Names (or sets of names) shown of each limit, the emptiest first.
SHOWN = 5


class Standing(StrEnum):
    """Why an account takes no orders now, the most lasting reason first; or that it does."""

    PAUSED = "paused"
    OPEN = "open"
    LIMITED = "limited"
    PROBING = "probing"
    UNREGISTERED = "unregistered"
    READY = "ready"


@dataclass(frozen=True)
class Quota:
    """What is left of one limit, where it is emptiest. `scope` is what it is counted for; empty for the account.

    Of a set of names only its digest is known, and nobody is shown that.
    """

    limit: Limit
    left: int
    scope: str = ""
    full_at: datetime | None = None


@dataclass(frozen=True)
class Held:
    """A name that the CA takes no orders for; empty where it is a set of names."""

    name: str
    until: datetime


@dataclass(frozen=True)
class AccountStanding:
    id: str
    name: str
    kind: str
    standing: Standing
    until: datetime | None
    failures: int
    in_flight: int
    max_in_flight: int | None
    waiting: int
    quotas: Sequence[Quota]
    held: Sequence[Held]


def list_all(now: datetime) -> list[AccountStanding]:
    """Every account, by name. They are a few."""
    waiting = _waiting()
    return [of(account, now, waiting) for account in ca_accounts.list_all()]


def of(account: CaAccount, now: datetime, waiting: Mapping[str, int] | None = None) -> AccountStanding:
    """One account as it stands now."""
    standing, until = _standing(account, now)
    buckets = ca_buckets.fullest(account.id, now)
    held = [(scope, moment) for (name, scope), moment in buckets.items() if name == HELD]
    return AccountStanding(
        id=account.id,
        name=account.name,
        kind=account.kind,
        standing=standing,
        until=until,
        failures=account.failures,
        in_flight=ca_quota.in_flight(account.id, now),
        max_in_flight=read_max_in_flight(account.config),
        waiting=(_waiting() if waiting is None else waiting).get(account.id, 0),
        quotas=[one for limit in read_limits(account.config) for one in _quotas(limit, buckets, now)],
        held=[Held(scope if "." in scope else "", moment) for scope, moment in held],
    )


def _standing(account: CaAccount, now: datetime) -> tuple[Standing, datetime | None]:
    if account.paused_at is not None:
        return Standing.PAUSED, None
    is_away = account.failures >= FAILURES_TO_OPEN
    if is_away and account.open_until is not None and account.open_until > now:
        return Standing.OPEN, account.open_until
    if account.limited_until is not None and account.limited_until > now:
        return Standing.LIMITED, account.limited_until
    if is_away:
        return Standing.PROBING, None
    return (Standing.READY if account.account_url is not None else Standing.UNREGISTERED), None


def _quotas(limit: Limit, buckets: Mapping[ca_buckets.Key, datetime], now: datetime) -> list[Quota]:
    """The emptiest buckets of a limit; where none was taken from, that it is full."""
    taken = [(scope, full_at) for (name, scope), full_at in buckets.items() if name == limit.name][:SHOWN]
    if not taken:
        return [Quota(limit, limit.capacity)]
    hides = limit.counts is Counted.NAMES
    return [
        Quota(limit, limit.left(full_at, now), "" if hides else scope, full_at) for scope, full_at in taken
    ]


def _waiting() -> dict[str, int]:
    """By account: renewals that wait for it to take their order."""
    query = (
        select(Renewal.ca_account_id, func.count())
        .where(Renewal.started_at.is_not(None), Renewal.finished_at.is_(None), Renewal.error_code.in_(WAITS))
        .group_by(Renewal.ca_account_id)
    )
    return {account_id: count for account_id, count in db.session.execute(query) if account_id is not None}

"""How much a CA account may ask for: the limits of the CA as token buckets.

A bucket is one moment, `full_at`: when it will be full again (the generic cell rate algorithm, which Let's Encrypt uses
too). A take moves it on by period / capacity, and is refused where it would come to lie more than a period ahead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from portal.domain.errors import DomainError
from portal.domain.limited_names import bare, names_digest, registered_domain


class Counted(StrEnum):
    """What has a bucket of its own: the account, each registered domain, a set of names, each name."""

    ACCOUNT = "account"
    DOMAIN = "domain"
    NAMES = "names"
    NAME = "name"


class Event(StrEnum):
    """What takes a token: placing an order, getting a certificate, failing a validation."""

    ORDER = "order"
    CERTIFICATE = "certificate"
    FAILURE = "failure"


@dataclass(frozen=True)
class Limit:
    """At most `capacity` events of a kind at once, and refilled evenly over `period`.

    A limit that `spares_replacements` does not count orders that say which certificate they replace (RFC 9773, 5).
    Orders are held back while no more than `kept` tokens are left.
    """

    name: str
    counts: Counted
    event: Event
    capacity: int
    period: timedelta
    spares_replacements: bool = False
    kept: int = 0

    @property
    def interval(self) -> timedelta:
        """How long one token takes to come back."""
        return self.period / self.capacity

    def take(self, full_at: datetime | None, now: datetime) -> datetime | None:
        """The bucket after one more event; None where there is no token to be had."""
        return None if self.free_at(full_at, now) > now else max(full_at or now, now) + self.interval

    def spend(self, full_at: datetime | None, now: datetime) -> datetime:
        """The bucket after an event that happened, whether there was a token or not; never emptier than empty."""
        return min(max(full_at or now, now) + self.interval, now + self.period)

    def free_at(self, full_at: datetime | None, now: datetime) -> datetime:
        """When an order may go ahead as far as this bucket is concerned; `now` where it may at once."""
        taken = self.interval * (self.capacity - self.kept - 1)
        return max((full_at or now) - taken, now)

    def left(self, full_at: datetime | None, now: datetime) -> int:
        """How many tokens there are."""
        behind = max(full_at or now, now) - now
        return max(self.capacity - math.ceil(behind / self.interval), 0)


#: Let's Encrypt's limits. Of failed validations the last one is never tried: it would shut the name out.
LETSENCRYPT = (
    Limit("new_orders", Counted.ACCOUNT, Event.ORDER, 300, timedelta(hours=3), spares_replacements=True),
    Limit(
        "certificates_per_domain",
        Counted.DOMAIN,
        Event.CERTIFICATE,
        50,
        timedelta(days=7),
        spares_replacements=True,
    ),
    Limit(
        "certificates_per_names",
        Counted.NAMES,
        Event.CERTIFICATE,
        5,
        timedelta(days=7),
        spares_replacements=True,
    ),
    Limit("failed_validations", Counted.NAME, Event.FAILURE, 5, timedelta(hours=1), kept=1),
)
PRESETS: Mapping[str, tuple[Limit, ...]] = {"none": (), "letsencrypt": LETSENCRYPT}

_FIELDS = frozenset({"name", "counts", "event", "capacity", "seconds", "spares_replacements", "kept"})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
#: Names of buckets that are no limits (see portal.services.ca_quota).
RESERVED = frozenset({"held", "granted", "in_flight", "queue"})


def read_limits(config: Mapping[str, Any]) -> tuple[Limit, ...]:
    """The limits in an account's settings: a preset's name, or a list of tables. Raises DomainError("field_wrong")."""
    given = config.get("limits") or "none"
    if isinstance(given, str):
        if given not in PRESETS:
            raise DomainError("field_wrong", field="limits", choices=", ".join(PRESETS))
        return PRESETS[given]
    try:
        limits = tuple(_read_limit(table) for table in given)
    except (TypeError, ValueError, KeyError, OverflowError):
        limits = ()
    if not limits or len({one.name for one in limits}) < len(limits):
        raise DomainError("field_wrong", field="limits", choices=", ".join((*PRESETS, *sorted(_FIELDS))))
    return limits


def _read_limit(table: Mapping[str, Any]) -> Limit:
    limit = Limit(
        name=str(table["name"]),
        counts=Counted(table["counts"]),
        event=Event(table["event"]),
        capacity=int(table["capacity"]),
        period=timedelta(seconds=float(table["seconds"])),
        spares_replacements=bool(table.get("spares_replacements", False)),
        kept=int(table.get("kept", 0)),
    )
    is_sane = limit.period > timedelta(0) and 0 <= limit.kept < limit.capacity <= 1_000_000
    if not is_sane or set(table) - _FIELDS or not _NAME.fullmatch(limit.name) or limit.name in RESERVED:
        raise ValueError(limit.name)
    return limit


def read_max_in_flight(config: Mapping[str, Any]) -> int | None:
    """How many orders an account may have open at once; None for no limit. Raises DomainError("field_wrong")."""
    given = config.get("max_in_flight")
    if given in (None, ""):
        return None
    if not str(given).isdecimal() or not 1 <= int(str(given)) <= 100_000:
        raise DomainError("field_wrong", field="max_in_flight", choices="1 … 100000")
    return int(str(given))


def scopes(limit: Limit, names: Sequence[str]) -> tuple[str, ...]:
    """The buckets of a limit that an order for these names takes from, in a fixed order."""
    if limit.counts is Counted.ACCOUNT:
        return ("",)
    if limit.counts is Counted.NAMES:
        return (names_digest(names),)
    key = registered_domain if limit.counts is Counted.DOMAIN else bare
    return tuple(sorted({key(name) for name in names}))

"""When a renewal falls due, and by which moments it must have happened (rules 10 and 15).

The due rule is a chain of small checks; the first one that has an opinion decides, and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from portal.domain.renewal import JITTER_PART, lead_time

#: The last part of a lifetime: from here on a renewal heeds no jitter, no window and no deploy hours.
EMERGENCY_PART = 1 / 20

#: Parts of the lead time that are left when somebody is told that a renewal is not done: with 30 days of lead that is
#: 20, 15, 7.5, 3 and 1 day before expiry, and at expiry.
ALARM_PARTS = (2 / 3, 1 / 2, 1 / 4, 1 / 10, 1 / 30, 0.0)


class DueReason(StrEnum):
    """Why a renewal falls due when it does."""

    LIFETIME = "lifetime"
    ARI = "ari"
    EMERGENCY = "emergency"
    REVOKED = "revoked"
    KEY_COMPROMISE = "key_compromise"
    FORCED = "forced"
    REPLACEMENT = "replacement"


#: Reasons that are somebody's decision: no later answer of a CA may move the renewal away again.
DECIDED = frozenset({DueReason.REVOKED, DueReason.KEY_COMPROMISE, DueReason.FORCED, DueReason.REPLACEMENT})


@dataclass(frozen=True)
class Window:
    """A CA's suggested renewal window (RFC 9773, 4.2), start before end."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Life:
    """What the due rule needs to know of a certificate.

    `jitter` in [0, 1) is the certificate's own, fixed. `point` in [0, 1) was drawn for this window, once.
    """

    not_before: datetime
    not_after: datetime
    jitter: float = 0.0
    window: Window | None = None
    point: float = 0.0


@dataclass(frozen=True)
class Due:
    at: datetime
    reason: DueReason


Rule = Callable[[Life], Due | None]


def emergency_at(not_before: datetime, not_after: datetime) -> datetime:
    """From this moment on nothing but a pause, a CA's limits and the term's end holds a renewal back."""
    return not_after - (not_after - not_before) * EMERGENCY_PART


def _emergency(life: Life) -> Due | None:
    """A window that lies in the emergency, or behind it, is not waited for."""
    latest = emergency_at(life.not_before, life.not_after)
    wanted = _point_of(life)
    return Due(latest, DueReason.EMERGENCY) if wanted is not None and wanted > latest else None


def _window(life: Life) -> Due | None:
    wanted = _point_of(life)
    return None if wanted is None else Due(wanted, DueReason.ARI)


def _lifetime(life: Life) -> Due:
    lead = lead_time(life.not_before, life.not_after)
    return Due(life.not_after - lead * (1 - JITTER_PART * life.jitter), DueReason.LIFETIME)


def _point_of(life: Life) -> datetime | None:
    if life.window is None:
        return None
    return life.window.start + (life.window.end - life.window.start) * life.point


RULES: tuple[Rule, ...] = (_emergency, _window, _lifetime)


def due(life: Life) -> Due:
    """When the renewal of this certificate falls due, and by which rule."""
    return next(found for rule in RULES if (found := rule(life)) is not None)


def alarm_at(not_before: datetime, not_after: datetime, rung: int) -> datetime | None:
    """When the `rung`-th step of the alarm ladder (0 and up) is reached; None past its end."""
    if rung >= len(ALARM_PARTS):
        return None
    return not_after - lead_time(not_before, not_after) * ALARM_PARTS[rung]


def rungs_reached(not_before: datetime, not_after: datetime, now: datetime) -> int:
    """How many steps of the ladder lie behind `now`."""
    lead = lead_time(not_before, not_after)
    return sum(now >= not_after - lead * part for part in ALARM_PARTS)


#: In an emergency no try waits longer than this for the next one.
EMERGENCY_PAUSE = timedelta(hours=1)

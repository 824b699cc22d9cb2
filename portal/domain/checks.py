"""What is looked at again and again while a certificate is hosted, so that trouble is known months ahead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum


class CheckSubject(StrEnum):
    """ARI: the CA's suggested renewal window. VALIDATION: whether the names could be proved today."""

    ARI = "ari"
    VALIDATION = "validation"


class CheckState(StrEnum):
    ACTIVE = "active"
    ENDED = "ended"


class CheckEvent(StrEnum):
    END = "end"
    BEGIN_AGAIN = "begin_again"


TRANSITIONS: Mapping[tuple[CheckState, CheckEvent], CheckState] = {
    (CheckState.ACTIVE, CheckEvent.END): CheckState.ENDED,
    # A hosting whose term still runs was opened again.
    (CheckState.ENDED, CheckEvent.BEGIN_AGAIN): CheckState.ACTIVE,
}

WEEK = timedelta(days=7)


def next_look(created_at: datetime, share: float, now: datetime, every: timedelta = WEEK) -> datetime:
    """The next look after `now` of a row made at `created_at`: looks are `every` apart, and rows that were made in one
    go are spread over it by their own `share` in [0, 1).
    """
    first = created_at + every * share
    return first + every * max((now - first) // every + 1, 0)


def week_of(created_at: datetime, now: datetime) -> int:
    """Weeks gone since a row was made: what is told at most once a week is told once for each."""
    return (now - created_at) // WEEK

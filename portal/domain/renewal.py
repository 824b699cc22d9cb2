"""A renewal: when it falls due, the steps it goes through, how often a step is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum


class RenewalState(StrEnum):
    """Named for what has been done; the next step is what the state still lacks."""

    WAITING = "waiting"
    STARTED = "started"
    CHECKED = "checked"
    KEYED = "keyed"
    ORDERED = "ordered"
    PRESENTED = "presented"
    VALIDATING = "validating"
    VALIDATED = "validated"
    FINALIZING = "finalizing"
    ISSUED = "issued"
    DEPLOYING = "deploying"
    DONE = "done"
    CANCELLED = "cancelled"


class RenewalEvent(StrEnum):
    START = "start"
    CHECK = "check"
    MAKE_KEY = "make_key"
    ORDER = "order"
    PRESENT = "present"
    ANSWER = "answer"
    VALIDATE = "validate"
    FINALIZE = "finalize"
    ISSUE = "issue"
    HAND_OVER = "hand_over"
    FINISH = "finish"
    REORDER = "reorder"
    CANCEL = "cancel"


_S, _E = RenewalState, RenewalEvent

TRANSITIONS: Mapping[tuple[RenewalState, RenewalEvent], RenewalState] = {
    (_S.WAITING, _E.START): _S.STARTED,
    (_S.STARTED, _E.CHECK): _S.CHECKED,
    (_S.CHECKED, _E.MAKE_KEY): _S.KEYED,
    (_S.KEYED, _E.ORDER): _S.ORDERED,
    (_S.ORDERED, _E.PRESENT): _S.PRESENTED,
    (_S.PRESENTED, _E.ANSWER): _S.VALIDATING,
    (_S.VALIDATING, _E.VALIDATE): _S.VALIDATED,
    (_S.VALIDATED, _E.FINALIZE): _S.FINALIZING,
    (_S.FINALIZING, _E.ISSUE): _S.ISSUED,
    (_S.ISSUED, _E.HAND_OVER): _S.DEPLOYING,
    (_S.DEPLOYING, _E.FINISH): _S.DONE,
    # The CA gave the order up (expired, a check failed, unknown to it): the key stays, the order is made anew.
    (_S.ORDERED, _E.REORDER): _S.KEYED,
    (_S.PRESENTED, _E.REORDER): _S.KEYED,
    (_S.VALIDATING, _E.REORDER): _S.KEYED,
    (_S.VALIDATED, _E.REORDER): _S.KEYED,
    (_S.FINALIZING, _E.REORDER): _S.KEYED,
    # Only a renewal that has not begun can be taken back (rule 7).
    (_S.WAITING, _E.CANCEL): _S.CANCELLED,
}


class KeySource(StrEnum):
    """Where a renewal's key comes from (rule 11): made anew, the predecessor's again, or the customer's own by CSR."""

    NEW = "new"
    REUSE = "reuse"
    CSR = "csr"


#: An order is open at the CA in these: they count against the account's concurrency.
AT_THE_CA = frozenset(
    {
        RenewalState.ORDERED,
        RenewalState.PRESENTED,
        RenewalState.VALIDATING,
        RenewalState.VALIDATED,
        RenewalState.FINALIZING,
    }
)

#: The states a renewal never leaves.
FINAL = frozenset({RenewalState.DONE, RenewalState.CANCELLED})

#: Begun and not yet issued, or issued and not yet live: what people see as "in flight".
IN_FLIGHT = frozenset(RenewalState) - FINAL - {RenewalState.WAITING}

LONGEST_LEAD = timedelta(days=30)
SHORT_LIVED = timedelta(days=10)

#: A certificate's jitter is at most this part of its lead time. It only ever delays: renewing earlier than the
#: lead would cost a sixth certificate in a year of 99-day ones.
JITTER_PART = 0.1

#: Waits after the 1st, 2nd, … failed try of one step. Quick at first, since most faults pass; then capped at a day,
#: for ever: a renewal that matters is never given up.
RETRY_INTERVALS = (
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=12),
    timedelta(days=1),
)

#: How soon a CA or a cloud that is still busy is asked again: after the 1st, 2nd, … look.
POLL_INTERVALS = (
    timedelta(seconds=1),
    timedelta(seconds=2),
    timedelta(seconds=5),
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=5),
)


def lead_time(not_before: datetime, not_after: datetime) -> timedelta:
    """How long before expiry a renewal falls due where the CA names no window of its own (rule 10)."""
    lifetime = not_after - not_before
    if lifetime < SHORT_LIVED:
        return lifetime / 2
    return min(LONGEST_LEAD, lifetime / 3)


def retry_after(attempts: int) -> timedelta:
    """The wait after the `attempts`-th failed try (1 and up)."""
    return RETRY_INTERVALS[min(attempts, len(RETRY_INTERVALS)) - 1]


def poll_after(polls: int) -> timedelta:
    """The wait after the `polls`-th look that found the other side still busy (1 and up)."""
    return POLL_INTERVALS[min(polls, len(POLL_INTERVALS)) - 1]

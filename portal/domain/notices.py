"""Which notices there are, and what may never be muted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum


class NoticeKind(StrEnum):
    CONFIRM_EMAIL = "confirm_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105
    INVITATION = "invitation"
    ORDER_PAID = "order_paid"
    HOSTING_TURNED_ON = "hosting_turned_on"
    RENEWED = "renewed"
    PLEASE_INSTALL = "please_install"
    NOT_LIVE = "not_live"
    ACTION_REQUIRED = "action_required"
    HOSTING_FAILED = "hosting_failed"
    TERM_ENDING = "term_ending"
    ALARM = "alarm"
    REVOKED = "revoked"


class NoticeState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    REFUSED = "refused"


class NoticeEvent(StrEnum):
    SEND = "send"
    REFUSE = "refuse"
    RETRY = "retry"


TRANSITIONS: Mapping[tuple[NoticeState, NoticeEvent], NoticeState] = {
    (NoticeState.PENDING, NoticeEvent.SEND): NoticeState.SENT,
    # The server refused for good: an operator sees it; it is not tried again.
    (NoticeState.PENDING, NoticeEvent.REFUSE): NoticeState.REFUSED,
    # Unless that operator, having mended what was wrong, says so.
    (NoticeState.REFUSED, NoticeEvent.RETRY): NoticeState.PENDING,
}

#: Days before the old certificate's expiry on which a standing trouble is told again (0 is "at once").
THRESHOLDS: Mapping[NoticeKind, tuple[int, ...]] = {
    NoticeKind.NOT_LIVE: (7, 3, 1),
    NoticeKind.ACTION_REQUIRED: (15, 7, 3, 1),
    NoticeKind.HOSTING_FAILED: (15, 7, 3, 1),
}


def nearest_threshold(kind: NoticeKind, not_after_in: timedelta) -> int:
    """The threshold that stands for `not_after_in` left, 0 if none is reached: catching up tells the nearest only."""
    reached = [days for days in THRESHOLDS.get(kind, ()) if not_after_in <= timedelta(days=days)]
    return min(reached, default=0)

"""Mass replacement: renewing everything a CA issued before a day, so many an hour (a CA must revoke in 24 hours)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ReplacementState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class ReplacementEvent(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    CANCEL = "cancel"


_S, _E = ReplacementState, ReplacementEvent

TRANSITIONS: Mapping[tuple[ReplacementState, ReplacementEvent], ReplacementState] = {
    (_S.RUNNING, _E.PAUSE): _S.PAUSED,
    (_S.PAUSED, _E.RESUME): _S.RUNNING,
    (_S.RUNNING, _E.FINISH): _S.DONE,
    (_S.RUNNING, _E.CANCEL): _S.CANCELLED,
    (_S.PAUSED, _E.CANCEL): _S.CANCELLED,
}

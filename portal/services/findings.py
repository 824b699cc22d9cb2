"""The words of a check-up: what a check is, and what it can find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.settings import Settings


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """What one check found. `mend` says what to do; empty where nothing is to be done."""

    name: str
    health: Health
    detail: str
    mend: str = ""


@dataclass(frozen=True)
class Check:
    """A check and what would mend it should it raise."""

    name: str
    look: Callable[[Settings, datetime], Finding]
    mend: str

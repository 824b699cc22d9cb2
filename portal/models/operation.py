"""What every piece of background work has in common: when it is due, who holds it, how often it failed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.types import PlainJson, UtcDateTime


class Operation:
    """Columns of a row that is worked on in steps.

    `next_attempt_at` (injected clock) is NULL where nothing is due ever again: the due index holds only live work.
    `rung_until` (injected clock) says until when a doorbell already rang counts. `lease_until` is database clock;
    `fence` grows with every claim, and a write after an outside call checks it. `attempts` counts failed tries of
    the present step and `polls` looks that found the other side busy; both start again with every step.
    `stopped_at` is set while a person is needed (需要处理); `error_code` and `error_params` say why.
    """

    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    rung_until: Mapped[datetime | None] = mapped_column(UtcDateTime())
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime())
    fence: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    polls: Mapped[int] = mapped_column(Integer, default=0)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_params: Mapped[dict[str, Any] | None] = mapped_column(PlainJson)


def due_index(table: str) -> Index:
    """The partial index that every list of due work comes from."""
    live = text("next_attempt_at IS NOT NULL")
    return Index(f"ix_{table}_due", "next_attempt_at", "id", sqlite_where=live, postgresql_where=live)


def attention_index(table: str, condition: str = "stopped_at IS NOT NULL") -> Index:
    """The partial index behind the operator's list of what needs a person, oldest first."""
    where = text(condition)
    return Index(f"ix_{table}_attention", "stopped_at", "id", sqlite_where=where, postgresql_where=where)

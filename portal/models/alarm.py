"""Alarms that are open, and those that were."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.alarms import AlarmKind
from portal.extensions import Model
from portal.models.types import EnumText, Moment, PlainJson, RowId, UtcDateTime


class Alarm(Model):
    """Something an operator must know of. One of a kind and subject is open at a time; `rung` grows as it gets worse.

    `subject_type` and `subject_id` name a row, or are empty for the installation as a whole. `rung_at` is when the
    present rung was reached, `told_at` when the first operator had been told of it.
    """

    __tablename__ = "alarms"
    __table_args__ = (
        Index(
            "uq_alarms_open",
            "kind",
            "subject_type",
            "subject_id",
            unique=True,
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
        Index("ix_alarms_raised", "raised_at"),
    )

    id: Mapped[RowId]
    kind: Mapped[AlarmKind] = mapped_column(EnumText(AlarmKind))
    subject_type: Mapped[str] = mapped_column(String(64), default="")
    subject_id: Mapped[str] = mapped_column(String(128), default="")
    rung: Mapped[int] = mapped_column(Integer, default=0)
    params: Mapped[dict[str, Any]] = mapped_column(PlainJson)
    raised_at: Mapped[Moment]
    rung_at: Mapped[Moment]
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    cleared_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

"""What happened: changes of state, and what people did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.types import Moment, PlainJson, RowId, Slug, UtcDateTime


class HistoryEntry(Model):
    """One change of state of one row. `subject_type` is its table; `actor` a user id or the name of a process."""

    __tablename__ = "history"
    __table_args__ = (Index("ix_history_subject", "subject_type", "subject_id", "at"),)

    id: Mapped[RowId]
    subject_type: Mapped[Slug]
    subject_id: Mapped[str] = mapped_column(String(32))
    from_state: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(32))
    to_state: Mapped[str] = mapped_column(String(32))
    actor: Mapped[Slug]
    reason: Mapped[str | None] = mapped_column(String(64))
    params: Mapped[dict[str, Any] | None] = mapped_column(PlainJson)
    at: Mapped[Moment]


class AuditEntry(Model):
    """One act of a person (or of the command line), with what it touched. Never updated."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_organisation", "organisation_id", "at"),)

    id: Mapped[RowId]
    organisation_id: Mapped[str | None] = mapped_column(ForeignKey("organisations.id"))
    actor: Mapped[Slug]
    action: Mapped[Slug]
    subject_type: Mapped[Slug]
    subject_id: Mapped[str] = mapped_column(String(32))
    params: Mapped[dict[str, Any] | None] = mapped_column(PlainJson)
    ip_address: Mapped[str | None] = mapped_column(String(45))
    at: Mapped[Moment]


class Heartbeat(Model):
    """When a process last said that it lives ("scheduler", "scan", "worker:HOST:PID")."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime())

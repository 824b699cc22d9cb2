"""The outbox: a notice is a row first; sending it is a job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.notices import NoticeKind, NoticeState
from portal.extensions import Model
from portal.models.operation import Operation, attention_index, due_index
from portal.models.types import EnumText, Moment, PlainJson, RowId, Slug, UtcDateTime


class Notice(Operation, Model):
    """One message to one recipient. `subject_type` and `subject_id` name the row it is about (a certificate version,
    an order, a user). `params` fill the template and hold no secret: links with tokens are made when it is sent.
    """

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint(
            "subject_id", "kind", "threshold", "recipient", name="uq_notices_subject_kind_recipient"
        ),
        Index("ix_notices_organisation", "organisation_id", "created_at"),
        due_index("notices"),
        attention_index("notices"),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str | None] = mapped_column(ForeignKey("organisations.id"))
    kind: Mapped[NoticeKind] = mapped_column(EnumText(NoticeKind))
    subject_type: Mapped[Slug]
    subject_id: Mapped[str] = mapped_column(String(32))
    threshold: Mapped[int] = mapped_column(Integer, default=0)
    recipient: Mapped[str] = mapped_column(String(254))
    locale: Mapped[str] = mapped_column(String(16))
    timezone: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]] = mapped_column(PlainJson)
    state: Mapped[NoticeState] = mapped_column(EnumText(NoticeState))
    message_id: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[Moment]
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

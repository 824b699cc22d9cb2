"""Hostings and their renewals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.due import DueReason
from portal.domain.hosting import HostingState
from portal.domain.renewal import KeySource, RenewalState
from portal.extensions import Model
from portal.models.catalogue import CaAccount, Product
from portal.models.certificate import Certificate
from portal.models.operation import Operation, attention_index, due_index
from portal.models.types import EnumText, Moment, PlainJson, RowId, UtcDateTime


class Hosting(Model):
    """The promise to keep a certificate alive until `coverage_ends_at`. `certificate` is the one in use now.

    `product` is what its renewals are issued as; it has the certificate's specification. `csr_pem` is the customer's
    own where `key_source` says so; `key_type` is what new keys shall be, None for "as the predecessor's".
    """

    __tablename__ = "hostings"
    __table_args__ = (
        Index(
            "uq_hostings_active_certificate",
            "certificate_id",
            unique=True,
            sqlite_where=text("state IN ('hosted', 'failed')"),
            postgresql_where=text("state IN ('hosted', 'failed')"),
        ),
        Index(
            "ix_hostings_failed",
            "created_at",
            sqlite_where=text("state = 'failed'"),
            postgresql_where=text("state = 'failed'"),
        ),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    certificate_id: Mapped[str] = mapped_column(ForeignKey("certificates.id"), index=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"))
    order_line_id: Mapped[str | None] = mapped_column(ForeignKey("order_lines.id"), unique=True)
    state: Mapped[HostingState] = mapped_column(EnumText(HostingState))
    coverage_ends_at: Mapped[Moment]
    key_source: Mapped[KeySource] = mapped_column(
        EnumText(KeySource), default=KeySource.NEW, server_default=KeySource.NEW.value
    )
    key_type: Mapped[str | None] = mapped_column(String(32))
    csr_pem: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[Moment]

    certificate: Mapped[Certificate] = relationship()
    product: Mapped[Product] = relationship()
    renewals: Mapped[list[Renewal]] = relationship(back_populates="hosting", order_by="Renewal.sequence")


class Renewal(Operation, Model):
    """One issuance owed by a hosting. `order_url`, `csr_pem` and the sealed key are written before they are used.

    While WAITING, `next_attempt_at` is the moment it falls due; that is the whole expiry scan. `due_reason` says which
    rule decided it; `window_start` and `window_end` are the CA's suggestion. `replaces` is the predecessor's identifier
    at the CA (RFC 9773). `alarm_at` is the next step of the alarm ladder, NULL where nobody need be told any more.
    """

    __tablename__ = "renewals"
    __table_args__ = (
        UniqueConstraint("hosting_id", "sequence", name="uq_renewals_hosting_sequence"),
        due_index("renewals"),
        attention_index("renewals"),
        Index(
            "ix_renewals_alarm",
            "alarm_at",
            "id",
            sqlite_where=text("alarm_at IS NOT NULL"),
            postgresql_where=text("alarm_at IS NOT NULL"),
        ),
        Index(
            "ix_renewals_in_flight",
            "started_at",
            "id",
            sqlite_where=text("started_at IS NOT NULL AND finished_at IS NULL"),
            postgresql_where=text("started_at IS NOT NULL AND finished_at IS NULL"),
        ),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    hosting_id: Mapped[str] = mapped_column(ForeignKey("hostings.id"), index=True)
    sequence: Mapped[int] = mapped_column(Integer)
    predecessor_id: Mapped[str] = mapped_column(ForeignKey("certificates.id"), index=True)
    successor_id: Mapped[str | None] = mapped_column(ForeignKey("certificates.id"), unique=True)
    ca_account_id: Mapped[str | None] = mapped_column(ForeignKey("ca_accounts.id"))
    state: Mapped[RenewalState] = mapped_column(EnumText(RenewalState))
    names: Mapped[list[str]] = mapped_column(PlainJson)
    key_type: Mapped[str] = mapped_column(String(32))
    private_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    csr_pem: Mapped[str | None] = mapped_column(Text)
    order_url: Mapped[str | None] = mapped_column(Text)
    due_reason: Mapped[DueReason] = mapped_column(
        EnumText(DueReason), default=DueReason.LIFETIME, server_default=DueReason.LIFETIME.value
    )
    window_start: Mapped[datetime | None] = mapped_column(UtcDateTime())
    window_end: Mapped[datetime | None] = mapped_column(UtcDateTime())
    explanation_url: Mapped[str | None] = mapped_column(Text)
    replaces: Mapped[str | None] = mapped_column(String(255))
    applicant: Mapped[dict[str, Any] | None] = mapped_column(PlainJson)
    alarm_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    alarm_rung: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    issued_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]

    hosting: Mapped[Hosting] = relationship(back_populates="renewals")
    ca_account: Mapped[CaAccount | None] = relationship()
    predecessor: Mapped[Certificate] = relationship(foreign_keys=[predecessor_id])
    successor: Mapped[Certificate | None] = relationship(foreign_keys=[successor_id])


class ChallengeResponse(Model):
    """An http-01 answer that /.well-known/acme-challenge/<token> gives while a renewal is validated (RFC 8555, 8.3)."""

    __tablename__ = "challenge_responses"

    token: Mapped[str] = mapped_column(String(255), primary_key=True)
    renewal_id: Mapped[str] = mapped_column(ForeignKey("renewals.id"), index=True)
    key_authorization: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Moment]

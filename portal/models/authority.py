"""What is kept about CA accounts beside their settings: quotas, manual orders, revocations, revocation lists."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.manual_order import ManualOrderState
from portal.domain.replacement import ReplacementState
from portal.domain.revocation import CrlState, RevocationReason, RevocationState
from portal.extensions import Model
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.operation import Operation, attention_index, due_index
from portal.models.types import EnumText, Moment, PlainJson, RowId, Slug, UtcDateTime


class RateBucket(Model):
    """A token bucket as one moment: `full_at` is when it will be full again (the generic cell rate algorithm).

    `limit_name` names a limit of the account, `scope` what it counts (the account, a registered domain, some names).
    """

    __tablename__ = "rate_buckets"

    ca_account_id: Mapped[str] = mapped_column(ForeignKey("ca_accounts.id"), primary_key=True)
    limit_name: Mapped[str] = mapped_column(String(32), primary_key=True)
    scope: Mapped[str] = mapped_column(String(255), primary_key=True)
    full_at: Mapped[Moment]


class ManualOrder(Model):
    """An order that operators carry to the CA. `applicant` is what was copied from the predecessor."""

    __tablename__ = "manual_orders"
    __table_args__ = (Index("ix_manual_orders_state", "state", "created_at"),)

    id: Mapped[RowId]
    ca_account_id: Mapped[str] = mapped_column(ForeignKey("ca_accounts.id"))
    state: Mapped[ManualOrderState] = mapped_column(EnumText(ManualOrderState))
    names: Mapped[list[str]] = mapped_column(PlainJson)
    csr_pem: Mapped[str | None] = mapped_column(Text)
    chain_pem: Mapped[str | None] = mapped_column(Text)
    reference: Mapped[str | None] = mapped_column(String(128))
    refusal: Mapped[str | None] = mapped_column(String(300))
    handled_by: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[Moment]
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

    ca_account: Mapped[CaAccount] = relationship()


class CaRevocation(Model):
    """A line of a private CA's revocation list. `serial` is hexadecimal, lower case."""

    __tablename__ = "ca_revocations"

    ca_account_id: Mapped[str] = mapped_column(ForeignKey("ca_accounts.id"), primary_key=True)
    serial: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[int] = mapped_column(Integer)
    not_after: Mapped[Moment]
    revoked_at: Mapped[Moment]


class CaOrderKey(Model):
    """The key that an order of a private CA was finalized for; both as SHA-256, hexadecimal.

    Kept as long as the order can be carried on.
    """

    __tablename__ = "ca_order_keys"
    __table_args__ = (Index("ix_ca_order_keys_created", "created_at"),)

    ca_account_id: Mapped[str] = mapped_column(ForeignKey("ca_accounts.id"), primary_key=True)
    order_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Moment]


class Revocation(Operation, Model):
    """Having one certificate revoked; where `renewal_id` is set, not before that replacement is live."""

    __tablename__ = "revocations"
    __table_args__ = (due_index("revocations"), attention_index("revocations"))

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    certificate_id: Mapped[str] = mapped_column(ForeignKey("certificates.id"), unique=True)
    renewal_id: Mapped[str | None] = mapped_column(ForeignKey("renewals.id"))
    state: Mapped[RevocationState] = mapped_column(EnumText(RevocationState))
    reason: Mapped[int] = mapped_column(Integer, default=RevocationReason.UNSPECIFIED.value)
    requested_by: Mapped[Slug]
    created_at: Mapped[Moment]
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

    certificate: Mapped[Certificate] = relationship()


class CrlSource(Operation, Model):
    """A revocation list that certificates in use name (RFC 5280, 4.2.1.13), read once a day."""

    __tablename__ = "crl_sources"
    __table_args__ = (due_index("crl_sources"), attention_index("crl_sources"))

    id: Mapped[RowId]
    url: Mapped[str] = mapped_column(Text, unique=True)
    state: Mapped[CrlState] = mapped_column(EnumText(CrlState))
    etag: Mapped[str | None] = mapped_column(String(255))
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    next_update: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]


class MassReplacement(Operation, Model):
    """Renewing all hosted certificates that an account issued before a day, `per_hour` of them an hour.

    `next_attempt_at` is the next portion; `started` of `total` have been made due.
    """

    __tablename__ = "mass_replacements"
    __table_args__ = (due_index("mass_replacements"), attention_index("mass_replacements"))

    id: Mapped[RowId]
    ca_account_id: Mapped[str] = mapped_column(ForeignKey("ca_accounts.id"))
    state: Mapped[ReplacementState] = mapped_column(EnumText(ReplacementState))
    issued_before: Mapped[Moment]
    per_hour: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(String(255))
    total: Mapped[int] = mapped_column(Integer)
    started: Mapped[int] = mapped_column(Integer, default=0)
    cursor: Mapped[str | None] = mapped_column(String(32))
    requested_by: Mapped[Slug]
    created_at: Mapped[Moment]
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

    ca_account: Mapped[CaAccount] = relationship()

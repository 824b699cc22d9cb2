"""People, the organisations they work in, and their log-ins."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Boolean, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.types import EnumText, Moment, RowId, ShortText, UtcDateTime


class Role(StrEnum):
    OWNER = "owner"
    MANAGER = "manager"
    VIEWER = "viewer"


class User(Model):
    """A person who can log in. `email` is lower-case. Operators see 运维; they own no customer's rows."""

    __tablename__ = "users"

    id: Mapped[RowId]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    locale: Mapped[str] = mapped_column(String(16), default="zh_Hans")
    timezone: Mapped[str] = mapped_column(String(64), default="Asia/Shanghai")
    is_operator: Mapped[bool] = mapped_column(Boolean, default=False)
    email_confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]

    memberships: Mapped[list[Membership]] = relationship(back_populates="user")


class Organisation(Model):
    """The account that owns certificates, orders and targets."""

    __tablename__ = "organisations"

    id: Mapped[RowId]
    name: Mapped[ShortText]
    created_at: Mapped[Moment]


class Membership(Model):
    """A person's role in an organisation."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("organisation_id", "user_id", name="uq_memberships_organisation_user"),
    )

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    role: Mapped[Role] = mapped_column(EnumText(Role))
    created_at: Mapped[Moment]

    user: Mapped[User] = relationship(back_populates="memberships")
    organisation: Mapped[Organisation] = relationship()


class Invitation(Model):
    """An offer to join an organisation, open until accepted, withdrawn or past `expires_at`."""

    __tablename__ = "invitations"

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[Role] = mapped_column(EnumText(Role))
    locale: Mapped[str] = mapped_column(String(16))
    invited_by_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

    organisation: Mapped[Organisation] = relationship()


class Contact(Model):
    """Someone who is told about an organisation's certificates; need not be able to log in."""

    __tablename__ = "contacts"
    __table_args__ = (UniqueConstraint("organisation_id", "email", name="uq_contacts_organisation_email"),)

    id: Mapped[RowId]
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[ShortText]
    email: Mapped[str] = mapped_column(String(254))
    locale: Mapped[str] = mapped_column(String(16))
    timezone: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Moment]


class LoginSession(Model):
    """One log-in on one browser. The cookie holds a random token; the row holds its SHA-256 and can be revoked."""

    __tablename__ = "login_sessions"

    id: Mapped[RowId]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    user_agent: Mapped[ShortText]
    ip_address: Mapped[str] = mapped_column(String(45))
    created_at: Mapped[Moment]
    last_seen_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

    user: Mapped[User] = relationship()

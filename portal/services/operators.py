"""Operators: the first one by the set-up page or the command line; there is no default password."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import exists, select
from sqlalchemy.orm import Session, scoped_session

from portal.domain.errors import DomainError
from portal.models.account import User
from portal.services import accounts
from portal.services.auditing import audit
from portal.services.operations import settings
from portal.settings import kept_secret

AnySession = Session | scoped_session[Any]


def has_operator(session: AnySession) -> bool:
    """Whether the installation is set up."""
    return bool(session.scalar(select(exists().where(User.is_operator))))


def set_up_file() -> Path:
    """Where the set-up code lies: whoever can read it owns the installation anyway."""
    return settings().data_dir / "setup.code"


def set_up_code() -> str:
    """The code that the set-up page asks for; made when first asked for, readable by this user alone."""
    return kept_secret(set_up_file(), secrets.token_urlsafe(12))


def set_up(
    session: AnySession,
    *,
    code: str,
    email: str,
    password: str,
    locale: str,
    timezone: str,
    now: datetime,
    ip: str,
) -> User:
    """The first operator, by the set-up page; the code is gone afterwards.

    Raises DomainError: set_up_done, set_up_code_wrong, and those of create.
    """
    if has_operator(session):
        raise DomainError("set_up_done")
    if not hmac.compare_digest(code.strip().encode(), set_up_code().encode()):
        raise DomainError("set_up_code_wrong")
    user = create(session, email, password, now, locale=locale, timezone=timezone, actor="set-up", ip=ip)
    set_up_file().unlink(missing_ok=True)
    return user


def create(
    session: AnySession,
    email: str,
    password: str,
    now: datetime,
    *,
    locale: str | None = None,
    timezone: str | None = None,
    actor: str = "cli",
    ip: str | None = None,
) -> User:
    """A new operator. Raises DomainError: operator_exists (the address is taken), those of passwords.check_new."""
    config = current_app.config
    user = accounts.new_user(
        email,
        password,
        locale or config["BABEL_DEFAULT_LOCALE"],
        timezone or config["BABEL_DEFAULT_TIMEZONE"],
        now,
    )
    if accounts.find_user(session, user.email) is not None:
        raise DomainError("operator_exists")
    user.is_operator, user.email_confirmed_at = True, now
    session.add(user)
    audit(session, "operator.create", ("users", user.id), actor, now, ip=ip)
    session.commit()
    return user

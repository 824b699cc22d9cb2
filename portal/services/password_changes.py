"""Getting another password: by the present one, or by a link in a mail. Both end the other log-ins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session, scoped_session

from portal.domain.errors import DomainError
from portal.domain.notices import NoticeKind
from portal.models.account import User
from portal.services import accounts, passwords, sessions, tokens
from portal.services.auditing import audit

AnySession = Session | scoped_session[Any]


def request_reset(session: AnySession, email: str, now: datetime, ip: str) -> None:
    """Post the mail with the link if the address is known; the caller shows the same page either way."""
    user = accounts.find_user(session, email)
    if user is None:
        return
    accounts.send_link(session, NoticeKind.RESET_PASSWORD, user, now)
    audit(session, "password.request_reset", ("users", user.id), user.id, now, ip=ip)
    session.commit()


def read_reset(session: AnySession, token: str) -> User:
    """The user a reset link is for. Raises DomainError("token_invalid"), also once the link has been used."""
    user_id, fingerprint = tokens.read(tokens.RESET_PASSWORD, token, tokens.RESET_AGE)
    user = session.get(User, user_id)
    if user is None or tokens.password_fingerprint(user) != fingerprint:
        raise DomainError("token_invalid")
    return user


def reset(session: AnySession, token: str, password: str, now: datetime, ip: str) -> None:
    """Set the password by link; ends every log-in. The mail came to the address, so it is confirmed too.

    Raises DomainError: token_invalid, and those of passwords.check_new.
    """
    user = read_reset(session, token)
    _set(session, user, password)
    user.email_confirmed_at = user.email_confirmed_at or now
    sessions.revoke_others(session, user.id, None, now)
    audit(session, "password.reset", ("users", user.id), user.id, now, ip=ip)
    session.commit()


def change(
    session: AnySession,
    user_id: str,
    current: str,
    password: str,
    kept_session_id: str,
    now: datetime,
    ip: str,
) -> None:
    """Set the password by the present one; ends every other log-in.

    Raises DomainError: current_password_wrong, and those of passwords.check_new.
    """
    user = accounts.get_user(session, user_id)
    if not passwords.is_right(user.password_hash, current):
        raise DomainError("current_password_wrong")
    _set(session, user, password)
    sessions.revoke_others(session, user.id, kept_session_id, now)
    audit(session, "password.change", ("users", user.id), user.id, now, ip=ip)
    session.commit()


def _set(session: AnySession, user: User, password: str) -> None:
    passwords.check_new(password, user.email)
    user.password_hash = passwords.hash_password(password)
    session.flush()

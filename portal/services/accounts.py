"""People's accounts: signing up, confirming the address, logging in, the profile."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session

from portal.domain.errors import DomainError
from portal.domain.notices import NoticeKind
from portal.models.account import LoginSession, Membership, Organisation, Role, User
from portal.models.types import new_id
from portal.services import passwords, sessions, tokens
from portal.services.auditing import audit
from portal.services.noticing import post

AnySession = Session | scoped_session[Any]


def normal(email: str) -> str:
    """Addresses are compared and stored like this."""
    return email.strip().lower()


def find_user(session: AnySession, email: str) -> User | None:
    return session.scalar(select(User).where(User.email == normal(email)))


def get_user(session: AnySession, user_id: str) -> User:
    """Raises DomainError("not_found")."""
    user = session.get(User, user_id)
    if user is None:
        raise DomainError("not_found")
    return user


def new_user(email: str, password: str, locale: str, timezone: str, now: datetime) -> User:
    """A user not yet in the database. Raises the DomainErrors of passwords.check_new."""
    email = normal(email)
    passwords.check_new(password, email)
    return User(
        id=new_id(),
        email=email,
        password_hash=passwords.hash_password(password),
        locale=locale,
        timezone=timezone,
        is_operator=False,
        created_at=now,
    )


def sign_up(
    session: AnySession,
    *,
    email: str,
    password: str,
    organisation_name: str,
    locale: str,
    timezone: str,
    now: datetime,
    ip: str,
) -> None:
    """A new user who owns a new organisation, and the mail that asks to confirm the address.

    An address that is taken looks the same from outside; its holder is sent a link instead. Raises the
    DomainErrors of passwords.check_new.
    """
    user = new_user(email, password, locale, timezone, now)
    if (known := find_user(session, user.email)) is not None:
        _tell_holder(session, known, now)
        session.commit()
        return
    organisation = Organisation(id=new_id(), name=organisation_name.strip(), created_at=now)
    session.add_all([user, organisation])
    session.flush()
    session.add(Membership(organisation_id=organisation.id, user_id=user.id, role=Role.OWNER, created_at=now))
    audit(session, "user.sign_up", ("users", user.id), user.id, now, organisation_id=organisation.id, ip=ip)
    ask_to_confirm(session, user, now)
    _commit_unless_taken(session)


def _commit_unless_taken(session: AnySession) -> None:
    """Two sign-ups of one address at once: the second one changes nothing, and is told nothing."""
    try:
        session.commit()
    except IntegrityError:
        session.rollback()


def _tell_holder(session: AnySession, user: User, now: datetime) -> None:
    if user.email_confirmed_at is None:
        ask_to_confirm(session, user, now)
    else:
        send_link(session, NoticeKind.RESET_PASSWORD, user, now)


def send_link(session: AnySession, kind: NoticeKind, user: User, now: datetime) -> None:
    """Post a mail with a link, at most one a minute of its kind. The caller commits."""
    post(
        session,
        kind,
        subject_type="users",
        subject_id=user.id,
        recipient=user.email,
        locale=user.locale,
        timezone=user.timezone,
        params={},
        now=now,
        threshold=int(now.timestamp() // 60),
    )


def ask_to_confirm(session: AnySession, user: User, now: datetime) -> None:
    """Post the mail whose link confirms the address. The caller commits."""
    send_link(session, NoticeKind.CONFIRM_EMAIL, user, now)


def read_confirmation(session: AnySession, token: str) -> User:
    """The user whose address the link confirms. Raises DomainError("token_invalid")."""
    user_id, email = tokens.read(tokens.CONFIRM_EMAIL, token, tokens.CONFIRM_AGE)
    user = session.get(User, user_id)
    if user is None or user.email != email:
        raise DomainError("token_invalid")
    return user


def confirm_email(session: AnySession, token: str, now: datetime, ip: str) -> User:
    """Mark the address as confirmed; doing it again changes nothing. Raises DomainError("token_invalid")."""
    user = read_confirmation(session, token)
    if user.email_confirmed_at is None:
        user.email_confirmed_at = now
        audit(session, "user.confirm_email", ("users", user.id), user.id, now, ip=ip)
        session.commit()
    return user


def log_in(
    session: AnySession, email: str, password: str, *, user_agent: str, ip: str, now: datetime
) -> tuple[User, str]:
    """The user and the token of a new log-in.

    Raises DomainError: log_in_refused (unknown or wrong, told apart by nothing), email_unconfirmed (password
    right; the mail is sent again).
    """
    user = find_user(session, email)
    if not passwords.is_right(user.password_hash if user else None, password) or user is None:
        if user is not None:
            audit(session, "session.refuse", ("users", user.id), user.id, now, ip=ip)
            session.commit()
        raise DomainError("log_in_refused")
    if user.email_confirmed_at is None:
        ask_to_confirm(session, user, now)
        session.commit()
        raise DomainError("email_unconfirmed")
    token = sessions.start(session, user, user_agent=user_agent, ip=ip, now=now)
    session.commit()
    return user, token


def log_out(session: AnySession, login_session: LoginSession, now: datetime, ip: str) -> None:
    """End this log-in for good: its cookie is worth nothing afterwards."""
    sessions.revoke(session, login_session.user_id, login_session.id, now, ip)


def update_profile(session: AnySession, user_id: str, *, locale: str, timezone: str) -> None:
    """Set language and time zone, of pages and of mails."""
    user = get_user(session, user_id)
    user.locale, user.timezone = locale, timezone
    session.commit()


def set_locale(session: AnySession, user_id: str, locale: str) -> None:
    """Set the language alone."""
    get_user(session, user_id).locale = locale
    session.commit()

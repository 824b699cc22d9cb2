"""Log-ins: the browser holds a random token, the row its hash; a row can be revoked from anywhere."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, contains_eager, joinedload, scoped_session

from portal.domain.errors import DomainError
from portal.models.account import LoginSession, Membership, User
from portal.services.auditing import audit

AnySession = Session | scoped_session[Any]

#: A log-in ends after this long, however busy it is.
LIFETIME = timedelta(days=14)

#: `last_seen_at` is written at most this often, so that reading pages does not write.
SEEN_EVERY = timedelta(minutes=5)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def start(session: AnySession, user: User, *, user_agent: str, ip: str, now: datetime) -> str:
    """A new log-in; returns its token, which exists nowhere else. The caller commits."""
    token = secrets.token_urlsafe(32)
    row = LoginSession(
        user_id=user.id,
        token_sha256=_digest(token),
        user_agent=user_agent[:255],
        ip_address=ip,
        created_at=now,
        last_seen_at=now,
        expires_at=now + LIFETIME,
    )
    session.add(row)
    audit(session, "session.start", ("login_sessions", user.id), user.id, now, ip=ip)
    return token


def open_for(session: AnySession, user: User, *, user_agent: str, ip: str, now: datetime) -> str:
    """`start`, committed: for somebody who has just proved who they are in another way."""
    token = start(session, user, user_agent=user_agent, ip=ip, now=now)
    session.commit()
    return token


def find_live(session: AnySession, token: str, now: datetime) -> LoginSession | None:
    """The log-in of this token with its user, memberships and organisations; None if revoked, expired, unknown."""
    query = (
        select(LoginSession)
        .join(LoginSession.user)
        .where(
            LoginSession.token_sha256 == _digest(token),
            LoginSession.revoked_at.is_(None),
            LoginSession.expires_at > now,
        )
        .options(
            contains_eager(LoginSession.user)
            .selectinload(User.memberships)
            .options(joinedload(Membership.organisation))
        )
    )
    return session.scalar(query)


def touch(session: AnySession, row: LoginSession, now: datetime) -> None:
    """Note that the log-in is in use; commits, and seldom."""
    if now - row.last_seen_at >= SEEN_EVERY:
        session.execute(update(LoginSession).where(LoginSession.id == row.id).values(last_seen_at=now))
        session.commit()


def live_sessions(session: AnySession, user_id: str, now: datetime) -> Sequence[LoginSession]:
    """Where this user is logged in, latest use first."""
    query = select(LoginSession).where(
        LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None), LoginSession.expires_at > now
    )
    return session.scalars(query.order_by(LoginSession.last_seen_at.desc(), LoginSession.id)).all()


def revoke(
    session: AnySession, user_id: str, login_session_id: str, now: datetime, ip: str | None = None
) -> None:
    """End one of this user's log-ins. Raises DomainError("not_found")."""
    changed = revoke_where(session, now, LoginSession.user_id == user_id, LoginSession.id == login_session_id)
    if not changed:
        raise DomainError("not_found")
    audit(session, "session.revoke", ("login_sessions", login_session_id), user_id, now, ip=ip)
    session.commit()


def revoke_others(session: AnySession, user_id: str, kept_id: str | None, now: datetime) -> int:
    """End every log-in of this user but one (None: every one); returns how many. The caller commits."""
    conditions = [LoginSession.user_id == user_id]
    if kept_id:
        conditions.append(LoginSession.id != kept_id)
    return revoke_where(session, now, *conditions)


def revoke_where(session: AnySession, now: datetime, *conditions: object) -> int:
    """End the live log-ins that fit; returns how many. The caller commits."""
    statement = (
        update(LoginSession)
        .where(LoginSession.revoked_at.is_(None), *conditions)  # type: ignore[arg-type]
        .values(revoked_at=now)
    )
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]

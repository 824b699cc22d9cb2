"""Telling people: a notice is a row in the caller's transaction; once that has committed a job sends it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, scoped_session

from portal.domain.notices import NoticeKind, NoticeState
from portal.models.account import Contact, Membership, Role, User
from portal.models.notice import Notice
from portal.queue import JobName, enqueue_after_commit
from portal.services.operations import settings

AnySession = Session | scoped_session[Session]


def post(
    session: AnySession,
    kind: NoticeKind,
    *,
    subject_type: str,
    subject_id: str,
    recipient: str,
    locale: str,
    timezone: str,
    params: Mapping[str, Any],
    now: datetime,
    organisation_id: str | None = None,
    threshold: int = 0,
) -> None:
    """Put one notice into the outbox, within the caller's transaction; it is sent once that has committed.

    The same (subject, kind, threshold, recipient) is told once: posting it again changes nothing, silently.
    """
    key = (subject_id, kind.value, str(threshold), recipient)
    values = {
        "organisation_id": organisation_id,
        "kind": kind,
        "subject_type": subject_type,
        "subject_id": subject_id,
        "threshold": threshold,
        "recipient": recipient,
        "locale": locale,
        "timezone": timezone,
        "params": dict(params),
        "state": NoticeState.PENDING,
        "message_id": _message_id(key),
        "created_at": now,
        "next_attempt_at": now,
    }
    if (notice_id := _insert_if_absent(session, values)) is not None:
        enqueue_after_commit(session, JobName.SEND_NOTICES, [notice_id])


def tell(
    session: AnySession,
    organisation_id: str,
    kind: NoticeKind,
    *,
    subject_type: str,
    subject_id: str,
    params: Mapping[str, Any],
    now: datetime,
    threshold: int = 0,
) -> None:
    """Post to each contact of the organisation in their locale and zone; where it has none, to its owners."""
    for person in _audience(session, organisation_id):
        post(
            session,
            kind,
            subject_type=subject_type,
            subject_id=subject_id,
            recipient=person.email,
            locale=person.locale,
            timezone=person.timezone,
            params=params,
            now=now,
            organisation_id=organisation_id,
            threshold=threshold,
        )


def tell_operators(
    session: AnySession,
    kind: NoticeKind,
    *,
    subject_type: str,
    subject_id: str,
    params: Mapping[str, Any],
    now: datetime,
    threshold: int = 0,
) -> None:
    """Post to each operator."""
    for user in session.scalars(select(User).where(User.is_operator).order_by(User.email)):
        post(
            session,
            kind,
            subject_type=subject_type,
            subject_id=subject_id,
            recipient=user.email,
            locale=user.locale,
            timezone=user.timezone,
            params=params,
            now=now,
            threshold=threshold,
        )


def _audience(session: AnySession, organisation_id: str) -> Iterable[Contact | User]:
    contacts = session.scalars(
        select(Contact).where(Contact.organisation_id == organisation_id).order_by(Contact.email)
    ).all()
    if contacts:
        return contacts
    owners = select(User).join(User.memberships).where(Membership.organisation_id == organisation_id)
    return session.scalars(owners.where(Membership.role == Role.OWNER).order_by(User.email)).all()


def _insert_if_absent(session: AnySession, values: Mapping[str, Any]) -> str | None:
    """Insert a notice; its id, or None where its unique key was there already."""
    session.flush()
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Notice).values(**values).on_conflict_do_nothing().returning(Notice.id)
    inserted: str | None = session.scalar(statement)
    return inserted


def _message_id(key: tuple[str, ...]) -> str:
    """The same for the same notice, so that a delivery repeated after a crash is seen as a repetition."""
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]
    return f"<{digest}@{urlsplit(settings().base_url).hostname or 'localhost'}>"

"""Telling people: a notice is a row in the caller's transaction; once that has committed a job sends it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.channel.registry import connect
from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.domain.notices import TRANSITIONS, NoticeEvent, NoticeKind, NoticeState
from portal.extensions import db
from portal.models.account import Contact, Membership, Role, User
from portal.models.notice import Notice
from portal.queue import JobName, enqueue_after_commit
from portal.services import alarm_notices
from portal.services.composing import compose
from portal.services.operations import Advance, Kind, leave_transaction, settings

AnySession = Session | scoped_session[Any]


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


def send(notice: Notice, now: datetime) -> Advance:
    """Compose in the recipient's language and hand over. What cannot be delivered ever is not tried again."""
    try:
        if alarm_notices.is_over(notice):
            raise DomainError("notice_outdated")
        message = compose(notice, settings(), now)
        leave_transaction()
        connect("email", settings()).send(message)
    except DomainError as error:
        return _refuse(error)
    except AdapterError as error:
        if not error.permanent:
            raise
        return _refuse(error)
    then = functools.partial(alarm_notices.note_told, notice, now)
    return Advance(NoticeEvent.SEND, due_at=None, values={"sent_at": now}, then=then)


def _refuse(error: DomainError | AdapterError) -> Advance:
    return Advance(NoticeEvent.REFUSE, due_at=None, failure=error, reason=error.code)


def call_operator(notice: Notice, now: datetime) -> None:
    """A refused mail is an operator's case: somebody was not told.

    Mail that waits, or has nobody to tell any more, is shown and not mailed about; nor is a refused mail about a mail.
    """
    if notice.error_code != "mail_refused" or notice.subject_type == Notice.__tablename__:
        return
    params = {
        "notice_kind": notice.kind.value,
        "recipient": notice.recipient,
        "error_code": notice.error_code,
        "error_params": notice.error_params or {},
    }
    tell_operators(
        db.session,
        NoticeKind.ACTION_REQUIRED,
        subject_type=Notice.__tablename__,
        subject_id=notice.id,
        params=params,
        now=now,
    )


KIND: Kind[Notice] = Kind(
    name="notice",
    model=Notice,
    transitions=TRANSITIONS,
    steps={NoticeState.PENDING: send},
    job=JobName.SEND_NOTICES,
    on_stop=call_operator,
)

"""The watchdog's own way of telling: it mails itself what nobody else has mailed, with or without a database.

Alarms are told by notices like everything else. But sending notices is a worker's job, and that may be just what has
stopped: what has waited for longer than the settings allow is sent from here, everything for one person in one mail.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlalchemy import or_, select, update

from portal.adapters.channel.registry import connect
from portal.adapters.errors import AdapterError
from portal.database import database_now
from portal.domain.alarms import RANK, AlarmKind
from portal.domain.errors import DomainError
from portal.domain.notices import TRANSITIONS, NoticeEvent, NoticeKind, NoticeState
from portal.domain.states import advance
from portal.extensions import db
from portal.models.account import User
from portal.models.alarm import Alarm
from portal.models.notice import Notice
from portal.services import alarm_notices
from portal.services.acting import note_change
from portal.services.alarms import SHOWN_IN_MAIL
from portal.services.composing import compose
from portal.services.operations import leave_transaction, settings

log = structlog.get_logger(__name__)

#: Notices taken in one round.
MOST = 500

#: What history calls mail that the watchdog sent.
ACTOR = "watchdog"


@dataclass(frozen=True)
class Person:
    """An operator, as known when the database last answered."""

    email: str
    locale: str
    timezone: str


def operators() -> list[Person]:
    """Whom to tell."""
    query = select(User.email, User.locale, User.timezone).where(User.is_operator).order_by(User.email)
    return [Person(*row) for row in db.session.execute(query)]


def remember(people: Sequence[Person], path: Path) -> None:
    """Keep them beside the database, for when that does not answer. Raises OSError."""
    text = json.dumps([asdict(one) for one in people])
    if path.exists() and path.read_text("utf-8") == text:
        return
    fresh = path.with_suffix(".new")
    fresh.write_text(text, "utf-8")
    fresh.chmod(0o600)
    fresh.replace(path)


def recall(path: Path) -> list[Person]:
    """Who was remembered; nobody where nothing was."""
    try:
        return [Person(**one) for one in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def deliver(now: datetime) -> bool:
    """Mail the alarms that have waited for too long; False if a mail could not be handed over.

    Each notice is claimed as a worker would claim it, so that of the two only one sends.
    """
    is_done = True
    waiting = [one for one in _waiting(now) if not alarm_notices.is_over(one)]
    for _, mine in groupby(waiting, key=lambda one: one.recipient):
        fences = _claim(group := list(mine))
        if fences:
            is_done &= _send([one for one in group if one.id in fences], fences, now)
    db.session.commit()
    return is_done


def mail_directly(people: Iterable[Person], kind: AlarmKind, params: dict[str, Any], now: datetime) -> bool:
    """Tell them of one alarm without asking or writing any database; whether anybody was told."""
    alarm = {"kind": kind.value, "params": params, "raised_at": now.isoformat()}
    words = {"alarms": [alarm], "count": 1, "rungs": {}}
    sent = [_hand_over(_notice(one, words, f"{kind.value}{now}", now), now) for one in people]
    return any(sent)


def _waiting(now: datetime) -> list[Notice]:
    """By recipient, the oldest first."""
    grace = timedelta(seconds=settings().alarm_grace)
    query = (
        select(Notice)
        .where(
            Notice.next_attempt_at.is_not(None),
            Notice.kind == NoticeKind.ALARM,
            Notice.state == NoticeState.PENDING,
            Notice.created_at <= now - grace,
        )
        .order_by(Notice.recipient, Notice.created_at, Notice.id)
        .limit(MOST)
        .execution_options(populate_existing=True)
    )
    return list(db.session.scalars(query))


def _claim(notices: Sequence[Notice]) -> dict[str, int]:
    """Those that nobody else is sending just now, with their fences. Commits."""
    free = or_(Notice.lease_until.is_(None), Notice.lease_until < database_now())
    claimed = (
        update(Notice)
        .where(Notice.id.in_([one.id for one in notices]), Notice.state == NoticeState.PENDING, free)
        .values(lease_owner=ACTOR, lease_until=database_now(settings().lease_seconds), fence=Notice.fence + 1)
        .returning(Notice.id, Notice.fence)
    )
    rows = db.session.execute(claimed.execution_options(synchronize_session=False)).all()
    fences: dict[str, int] = dict(rows)
    db.session.commit()
    return fences


def _send(notices: Sequence[Notice], fences: dict[str, int], now: datetime) -> bool:
    first = notices[0]
    person = Person(first.recipient, first.locale, first.timezone)
    summary = _notice(person, _summary(notices), "".join(one.id for one in notices), now)
    leave_transaction()
    is_sent = _hand_over(summary, now)
    for one in notices:
        _settle(one, fences[one.id], is_sent, now)
    db.session.commit()
    return is_sent


def _summary(notices: Sequence[Notice]) -> dict[str, Any]:
    """The words of all of them; of one alarm that got worse meanwhile only the last."""
    rungs = {alarm_id: rung for one in notices for alarm_id, rung in one.params["rungs"].items()}
    shown = {alarm["id"]: alarm for one in notices for alarm in one.params["alarms"]}
    still_open = set(
        db.session.scalars(select(Alarm.id).where(Alarm.id.in_(rungs), Alarm.cleared_at.is_(None)))
    )
    alarms = [alarm for alarm_id, alarm in shown.items() if alarm_id in still_open]
    alarms.sort(key=lambda one: (RANK[AlarmKind(one["kind"])], one["raised_at"]))
    return {"alarms": alarms[:SHOWN_IN_MAIL], "count": len(still_open), "rungs": rungs}


def _settle(notice: Notice, fence: int, is_sent: bool, now: datetime) -> None:
    held = update(Notice).where(
        Notice.id == notice.id, Notice.fence == fence, Notice.state == NoticeState.PENDING
    )
    freed: dict[str, Any] = {"lease_owner": None, "lease_until": None}
    if not is_sent:
        db.session.execute(held.values(**freed).execution_options(synchronize_session=False))
        return
    state = advance(TRANSITIONS, NoticeState.PENDING, NoticeEvent.SEND)
    sent = held.values(state=state, sent_at=now, next_attempt_at=None, **freed)
    result = db.session.execute(sent.execution_options(synchronize_session=False))
    if result.rowcount == 1:  # type: ignore[attr-defined]
        note_change("notices", notice.id, (NoticeState.PENDING, NoticeEvent.SEND, state), ACTOR, now)
        alarm_notices.note_told(notice, now)


def _notice(person: Person, words: dict[str, Any], key: str, now: datetime) -> Notice:
    """A notice that is never stored."""
    digest = hashlib.sha256(f"{key}{person.email}".encode()).hexdigest()[:32]
    return Notice(
        kind=NoticeKind.ALARM,
        subject_type="alarms",
        subject_id="",
        recipient=person.email,
        locale=person.locale,
        timezone=person.timezone,
        params=words,
        message_id=f"<{digest}@{urlsplit(settings().base_url).hostname or 'localhost'}>",
        created_at=now,
    )


def _hand_over(notice: Notice, now: datetime) -> bool:
    try:
        connect("email", settings()).send(compose(notice, settings(), now))
    except (AdapterError, DomainError) as error:
        log.error("alarm_mail_failed", code=error.code)
        return False
    log.warning("alarm_mail_sent", alarms=[one["kind"] for one in notice.params["alarms"]])
    return True

"""What operators do to background work and CAs. Every act leaves an audit row in its own transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import update

from portal.domain.errors import DomainError
from portal.domain.notices import TRANSITIONS, NoticeEvent, NoticeState
from portal.domain.states import advance
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.notice import Notice
from portal.models.validation import DelegationZone
from portal.queue import enqueue_after_commit
from portal.services import ca_switches, delegation, subjects
from portal.services.acting import Actor, note_change
from portal.services.auditing import audit
from portal.services.kinds import KINDS
from portal.services.subjects import Subject


def try_now(kind: str, row_id: str, actor: Actor, now: datetime) -> Subject:
    """Have a row of background work tried at once; returns what it is. A refused notice becomes pending again.

    Raises DomainError: not_found, nothing_to_try (it is settled, or waits for something else than a try).
    """
    subject = subjects.by_id(kind, [row_id]).get(row_id)
    if subject is None:
        raise DomainError("not_found")
    if subject.state is NoticeState.REFUSED:
        _reopen(row_id, actor, now)
    elif not _make_due(kind, row_id, now):
        raise DomainError("nothing_to_try")
    table = subjects.MODELS[kind].__tablename__
    audit(db.session, f"{kind}.try_now", (table, row_id), actor.id, now, ip=actor.ip_address)
    enqueue_after_commit(db.session(), KINDS[kind].job, [row_id])
    db.session.commit()
    return subject


def _make_due(kind: str, row_id: str, now: datetime) -> bool:
    model = subjects.MODELS[kind]
    waiting = update(model).where(model.id == row_id, model.next_attempt_at.is_not(None))
    result = db.session.execute(waiting.values(next_attempt_at=now, rung_until=None))
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _reopen(notice_id: str, actor: Actor, now: datetime) -> None:
    state = advance(TRANSITIONS, NoticeState.REFUSED, NoticeEvent.RETRY)
    fresh: dict[str, Any] = {"attempts": 0, "error_code": None, "error_params": None, "stopped_at": None}
    refused = update(Notice).where(Notice.id == notice_id, Notice.state == NoticeState.REFUSED)
    result = db.session.execute(refused.values(state=state, next_attempt_at=now, rung_until=None, **fresh))
    if result.rowcount != 1:  # type: ignore[attr-defined]
        raise DomainError("nothing_to_try")
    change = (NoticeState.REFUSED, NoticeEvent.RETRY, state)
    note_change(Notice.__tablename__, notice_id, change, actor.id, now)


def pause_authority(account_id: str, is_paused: bool, actor: Actor, now: datetime) -> CaAccount:
    """Stop giving a CA work, or go on. Raises DomainError("not_found")."""
    account = db.session.get(CaAccount, account_id)
    if account is None:
        raise DomainError("not_found")
    switch = ca_switches.pause if is_paused else ca_switches.resume
    return switch(account.name, actor.id, "", now, actor.ip_address)


#: How long a page may wait for a probe of the zone to be seen (seconds); the command line is more patient.
PROBE_PATIENCE = 10.0


def probe_delegation(actor: Actor, now: datetime) -> DelegationZone:
    """Try the zone for delegations out. Raises AdapterError as `delegation.probe` does."""
    row = delegation.find()
    if row is not None:
        subject = (DelegationZone.__tablename__, row.id)
        audit(db.session, "delegation_zone.probe", subject, actor.id, now, ip=actor.ip_address)
        db.session.commit()
    return delegation.probe(now, PROBE_PATIENCE)

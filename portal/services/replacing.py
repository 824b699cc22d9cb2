"""Mass replacement: renewing all that a CA account issued before a day, so many an hour (a CA must revoke soon)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Select, exists, func, or_, select, tuple_, update

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.replacement import TRANSITIONS, ReplacementEvent, ReplacementState
from portal.domain.states import advance
from portal.extensions import db
from portal.models.authority import MassReplacement
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting
from portal.models.types import new_id
from portal.queue import JobName, enqueue_after_commit
from portal.services import ca_accounts, forcing
from portal.services.acting import note_change
from portal.services.auditing import audit
from portal.services.hosting import ACTIVE
from portal.services.operations import Advance, Kind, Wait

log = structlog.get_logger(__name__)

#: A mass replacement goes on by portions of a minute, or one by one where it is slower than one a minute.
PORTIONS_AN_HOUR = 60
MOST_PER_HOUR = 60_000

#: Certificates that are not ours to renew: so many are named, the rest is counted.
NAMED = 50

UNDER_WAY = (ReplacementState.RUNNING, ReplacementState.PAUSED)


@dataclass(frozen=True)
class Preview:
    """What a mass replacement would take on: `total` to renew, and how many nobody hosts, the first of them named."""

    account: CaAccount
    issued_before: datetime
    total: int
    not_hosted_count: int
    not_hosted: Sequence[Certificate]


def preview(ca_name: str, issued_before: datetime, now: datetime) -> Preview:
    """Count, and change nothing. Raises DomainError("ca_account_unknown")."""
    account = ca_accounts.get(ca_name)
    until = min(issued_before, now)
    alive = _alive(account.id, until, now)
    ours = select(func.count()).select_from(Certificate).where(*alive, _is_hosted(now))
    others = (*alive, ~_is_hosted(now))
    named = select(Certificate).where(*others).order_by(Certificate.not_after, Certificate.id).limit(NAMED)
    return Preview(
        account,
        until,
        db.session.scalar(ours) or 0,
        db.session.scalar(select(func.count()).select_from(Certificate).where(*others)) or 0,
        db.session.scalars(named).all(),
    )


def start(
    ca_name: str, issued_before: datetime, per_hour: int, reason: str, actor: str, now: datetime
) -> MassReplacement:
    """Begin: the first portion is due at once. What is issued from now on is never taken on, whatever the day says.

    Raises DomainError: ca_account_unknown, replacement_rate, replacement_without_reason, replacement_running,
    nothing_to_replace.
    """
    if not 1 <= per_hour <= MOST_PER_HOUR:
        raise DomainError("replacement_rate", most=MOST_PER_HOUR)
    if not reason.strip():
        raise DomainError("replacement_without_reason")
    seen = preview(ca_name, issued_before, now)
    if find_under_way(seen.account) is not None:
        raise DomainError("replacement_running", name=ca_name)
    if not seen.total:
        raise DomainError("nothing_to_replace")
    row = MassReplacement(
        id=new_id(),
        ca_account_id=seen.account.id,
        state=ReplacementState.RUNNING,
        issued_before=seen.issued_before,
        per_hour=per_hour,
        reason=reason.strip()[:255],
        total=seen.total,
        requested_by=actor,
        created_at=now,
        next_attempt_at=now,
    )
    db.session.add(row)
    db.session.flush()
    params = {"ca": ca_name, "total": seen.total, "per_hour": per_hour, "reason": row.reason}
    audit(db.session, "mass_replacement.start", ("mass_replacements", row.id), actor, now, params=params)
    enqueue_after_commit(db.session(), JobName.ADVANCE_REPLACEMENTS, [row.id])
    db.session.commit()
    return row


def steer(replacement_id: str, event: ReplacementEvent, actor: str, now: datetime) -> MassReplacement:
    """Pause, resume or cancel. What has been made due goes on; nothing else is begun.

    Raises DomainError: not_found, transition_refused.
    """
    row = db.session.get(MassReplacement, replacement_id, populate_existing=True)
    if row is None:
        raise DomainError("not_found")
    from_state = row.state
    to_state = advance(TRANSITIONS, from_state, event)
    # Whoever has a portion in hand loses the claim with the fence, and the portion with it.
    freed = {"fence": MassReplacement.fence + 1, "lease_owner": None, "lease_until": None, "rung_until": None}
    values: dict[str, Any] = {"state": to_state, "next_attempt_at": None, **freed}
    if to_state is ReplacementState.RUNNING:
        values["next_attempt_at"] = now
        enqueue_after_commit(db.session(), JobName.ADVANCE_REPLACEMENTS, [row.id])
    if to_state is ReplacementState.CANCELLED:
        values["finished_at"] = now
    same = update(MassReplacement).where(MassReplacement.id == row.id, MassReplacement.state == from_state)
    if db.session.execute(same.values(**values)).rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        raise DomainError("transition_refused", state=from_state.value, event=event.value)
    note_change("mass_replacements", row.id, (from_state, event, to_state), actor, now)
    audit(db.session, f"mass_replacement.{event.value}", ("mass_replacements", row.id), actor, now)
    db.session.commit()
    db.session.refresh(row)
    return row


def find_under_way(account: CaAccount) -> MassReplacement | None:
    """The mass replacement of a CA account that runs or is paused: there is at most one."""
    query = select(MassReplacement).where(
        MassReplacement.ca_account_id == account.id, MassReplacement.state.in_(UNDER_WAY)
    )
    return db.session.scalar(query.limit(1))


def get_under_way(ca_name: str) -> MassReplacement:
    """As `find_under_way`. Raises DomainError: ca_account_unknown, no_replacement_running."""
    row = find_under_way(ca_accounts.get(ca_name))
    if row is None:
        raise DomainError("no_replacement_running", name=ca_name)
    return row


def take_portion(row: MassReplacement, now: datetime) -> Advance | Wait:
    """Make the next certificates due. Portion and cursor are one transaction: dying anywhere takes none on twice."""
    size = max(1, row.per_hour // PORTIONS_AN_HOUR)
    found = db.session.scalars(_next_certificates(row, now).limit(size)).all()
    if not found:
        return Advance(ReplacementEvent.FINISH, due_at=None, values={"finished_at": now})
    for certificate in found:
        _take_on(row, certificate, now)
    values = {"cursor": found[-1].id, "started": row.started + len(found), "attempts": 0, "error_code": None}
    return Wait(now + timedelta(hours=1) * size / row.per_hour, values=values)


def _take_on(row: MassReplacement, certificate: Certificate, now: datetime) -> None:
    """One that cannot be renewed is left out and noted: the others do not wait for it."""
    try:
        forcing.force(certificate.id, DueReason.REPLACEMENT, row.requested_by, now, note=row.reason)
    except DomainError as error:
        log.warning("not_replaced", replacement=row.id, certificate=certificate.id, code=error.code)
        change = (row.state, "skip", row.state)
        about = {"certificate_id": certificate.id}
        note_change("mass_replacements", row.id, change, row.requested_by, now, error.code, about)


def _next_certificates(row: MassReplacement, now: datetime) -> Select[Certificate]:
    """What is left, in the order of issuance; by key, so that nothing is skipped when rows fall out of it."""
    query = select(Certificate).where(*_alive(row.ca_account_id, row.issued_before, now), _is_hosted(now))
    if row.cursor is not None:
        last = db.session.get_one(Certificate, row.cursor)
        query = query.where(tuple_(Certificate.created_at, Certificate.id) > (last.created_at, last.id))
    return query.order_by(Certificate.created_at, Certificate.id)


def _alive(account_id: str, issued_before: datetime, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """In use, issued by the account before that moment."""
    return (
        Certificate.ca_account_id == account_id,
        Certificate.created_at < issued_before,
        Certificate.replaced_at.is_(None),
        Certificate.not_after > now,
    )


def _is_hosted(now: datetime) -> ColumnElement[bool]:
    """As forcing.find_hosting sees it: an active hosting, or one inside its paid term."""
    is_paid = or_(
        Hosting.state.in_(ACTIVE),
        (Hosting.state == HostingState.COMPLETED) & (Hosting.coverage_ends_at > now),
    )
    return exists().where(Hosting.certificate_id == Certificate.id, is_paid)


def _on_stop(row: MassReplacement, _now: datetime) -> None:
    log.error("mass_replacement_stopped", replacement=row.id, code=row.error_code)


KIND: Kind[MassReplacement] = Kind(
    name="replacement",
    model=MassReplacement,
    transitions=TRANSITIONS,
    steps={ReplacementState.RUNNING: take_portion},
    job=JobName.ADVANCE_REPLACEMENTS,
    on_stop=_on_stop,
)

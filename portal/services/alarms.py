"""Alarms: raised once for each thing that is wrong, told again only when it gets worse, cleared when it is over."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.domain.alarms import CONTACTS_FROM_RUNG, CUSTOMER_CAN_MEND, AlarmKind, patience_until
from portal.domain.due import alarm_at, rungs_reached
from portal.domain.notices import NoticeKind
from portal.domain.renewal import FINAL
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.certificate import Certificate
from portal.models.hosting import Renewal
from portal.models.types import new_id
from portal.services import noticing

#: Alarms whose words stand in one mail; the rest are counted.
SHOWN_IN_MAIL = 20

#: Ladders that one call of `climb_ladders` looks at.
LADDERS = 200

#: How long an alarm that was looked for and cleared counts as cleared, for `clear_again` (seconds).
LOOKED_FOR = 30.0


def raise_alarm(
    kind: AlarmKind,
    now: datetime,
    *,
    subject_type: str = "",
    subject_id: str = "",
    rung: int = 0,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Raise an alarm and tell the operators, within the caller's transaction.

    One of a kind and subject is open at a time. While it is, only a higher `rung` tells again; a lower one changes
    nothing. `params` are words for the mail and the page, never secrets.
    """
    alarm = put_up(
        kind, now, subject_type=subject_type, subject_id=subject_id, rung=rung, params=params or {}
    )
    if alarm is not None:
        tell([alarm], now)


def raise_at_once(kind: AlarmKind, now: datetime, params: Mapping[str, Any] | None = None) -> None:
    """Raise an alarm about the installation as a whole in a transaction of its own."""
    raise_alarm(kind, now, params=params)
    db.session.commit()


def clear_alarm(kind: AlarmKind, now: datetime, *, subject_type: str = "", subject_id: str = "") -> None:
    """It is over, within the caller's transaction; nothing where no such alarm is open. The row stays as history."""
    where = _is_open(kind, subject_type, subject_id)
    if db.session.scalar(select(Alarm.id).where(*where)) is None:
        return
    cleared = update(Alarm).where(*where).values(cleared_at=now)
    db.session.execute(cleared.execution_options(synchronize_session=False))


def clear_again(kind: AlarmKind, now: datetime, *, subject_type: str = "", subject_id: str = "") -> None:
    """`clear_alarm` for what is found to be right many times a minute: it looks for an open alarm every half minute."""
    known: dict[tuple[str, ...], float] = current_app.extensions.setdefault("alarms_looked_for", {})
    about = (kind.value, subject_type, subject_id)
    if time.monotonic() - known.get(about, -LOOKED_FOR) < LOOKED_FOR:
        return
    clear_alarm(kind, now, subject_type=subject_type, subject_id=subject_id)
    known[about] = time.monotonic()


def clear_for_renewal(renewal: Renewal, now: datetime) -> None:
    """A renewal is done or taken back: nobody need be told of it any more. Within the caller's transaction."""
    clear_alarm(AlarmKind.RENEWAL_LATE, now, subject_type="renewals", subject_id=renewal.id)
    db.session.execute(
        update(Renewal)
        .where(Renewal.id == renewal.id)
        .values(alarm_at=None)
        .execution_options(synchronize_session=False)
    )


def climb_ladders(now: datetime, limit: int = LADDERS) -> int:
    """Raise RENEWAL_LATE for renewals that reached the next step of the alarm ladder; returns how many were looked at.

    One transaction of its own for at most `limit` renewals, and one mail to each operator for all of them. With nothing
    due it is one look at a partial index. A renewal is claimed by moving its `alarm_at` on: of two processes one tells.
    """
    due = db.session.execute(_LADDERS_DUE.where(Renewal.alarm_at <= now).limit(limit)).all()
    raised = [alarm for one in due if (alarm := _climb(one, now)) is not None]
    tell(raised, now)
    db.session.commit()
    return len(due)


_LADDERS_DUE = (
    select(
        Renewal.id,
        Renewal.organisation_id,
        Renewal.state,
        Renewal.alarm_at,
        Renewal.stopped_at,
        Renewal.error_code,
        Renewal.error_params,
        Renewal.created_at,
        Certificate.id.label("certificate_id"),
        Certificate.name,
        Certificate.names,
        Certificate.not_before,
        Certificate.not_after,
    )
    .join(Certificate, Certificate.id == Renewal.predecessor_id)
    .order_by(Renewal.alarm_at, Renewal.id)
)


def _climb(one: Row[Any], now: datetime) -> Alarm | None:
    """Move one renewal to its next step; the alarm to tell of, if this process was the one to move it."""
    life = (one.not_before, one.not_after)
    reached = rungs_reached(*life, now)
    patience = patience_until(one.created_at, *life)
    is_late = one.state not in FINAL and reached > 0 and now >= patience
    next_at = alarm_at(*life, reached) if is_late or not reached else patience
    claim = update(Renewal).where(Renewal.id == one.id, Renewal.alarm_at == one.alarm_at)
    moved = claim.values(alarm_at=None if one.state in FINAL else next_at, alarm_rung=reached)
    result = db.session.execute(moved.execution_options(synchronize_session=False))
    if result.rowcount != 1 or not is_late:  # type: ignore[attr-defined]
        return None
    words = {
        "name": one.name,
        "days": max((one.not_after - now).days, 0),
        "not_after": one.not_after.isoformat(),
        "state": one.state.value,
        "error_code": one.error_code,
        "error_params": one.error_params or {},
    }
    subject = {"subject_type": "renewals", "subject_id": one.id}
    alarm = put_up(AlarmKind.RENEWAL_LATE, now, **subject, rung=reached, params=words)
    if alarm is not None and reached >= CONTACTS_FROM_RUNG and one.stopped_at is not None:
        _tell_contacts(one, reached, now)
    return alarm


def _tell_contacts(one: Row[Any], rung: int, now: datetime) -> None:
    """Remind the customer, where it lies with the customer."""
    if one.error_code not in CUSTOMER_CAN_MEND:
        return
    noticing.tell(
        db.session,
        one.organisation_id,
        NoticeKind.ACTION_REQUIRED,
        subject_type="renewals",
        subject_id=one.id,
        params={
            "name": one.name,
            "names": list(one.names),
            "certificate_id": one.certificate_id,
            "renewal_id": one.id,
            "old_not_after": one.not_after.isoformat(),
            "step": one.state.value,
            "error_code": one.error_code,
            "error_params": one.error_params or {},
        },
        now=now,
        threshold=rung,
    )


def put_up(
    kind: AlarmKind,
    now: datetime,
    *,
    subject_type: str,
    subject_id: str,
    rung: int,
    params: Mapping[str, Any],
) -> Alarm | None:
    """Open or worsen an alarm without telling anybody; the alarm where somebody is to be told now, else None.

    1. Insert, unless one is open (the partial unique index decides between two who raise at once).
    2. Else raise its rung, if this one is higher: that wants telling again.
    3. Else only its words are brought up to date.
    """
    values = {
        "kind": kind,
        "subject_type": subject_type,
        "subject_id": subject_id,
        "rung": rung,
        "params": dict(params),
        "raised_at": now,
        "rung_at": now,
    }
    current_app.extensions.get("alarms_looked_for", {}).pop((kind.value, subject_type, subject_id), None)
    if (alarm_id := _insert_if_absent(values)) is not None:
        return Alarm(id=alarm_id, **values)
    return _worsen(_is_open(kind, subject_type, subject_id), rung, params, now)


def tell(alarms: Sequence[Alarm], now: datetime) -> None:
    """One mail to each operator for these alarms together, within the caller's transaction."""
    if not alarms:
        return
    first = alarms[0]
    noticing.tell_operators(
        db.session,
        NoticeKind.ALARM,
        subject_type=Alarm.__tablename__,
        subject_id=first.id,
        params=words_of(alarms),
        now=now,
        threshold=first.rung,
    )


def words_of(alarms: Sequence[Alarm]) -> dict[str, Any]:
    """What the mail about these alarms is made of."""
    shown = [
        {
            "id": one.id,
            "kind": one.kind.value,
            "params": dict(one.params),
            "raised_at": one.raised_at.isoformat(),
        }
        for one in alarms[:SHOWN_IN_MAIL]
    ]
    return {"alarms": shown, "count": len(alarms), "rungs": {one.id: one.rung for one in alarms}}


def _is_open(kind: AlarmKind, subject_type: str, subject_id: str) -> tuple[Any, ...]:
    return (
        Alarm.kind == kind,
        Alarm.subject_type == subject_type,
        Alarm.subject_id == subject_id,
        Alarm.cleared_at.is_(None),
    )


def _insert_if_absent(values: Mapping[str, Any]) -> str | None:
    db.session.flush()
    dialect = postgresql if db.session.connection().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Alarm).values(id=new_id(), **values)
    inserted: str | None = db.session.scalar(statement.on_conflict_do_nothing().returning(Alarm.id))
    return inserted


def _worsen(where: tuple[Any, ...], rung: int, params: Mapping[str, Any], now: datetime) -> Alarm | None:
    """The open alarm, if `rung` is higher than what it stood at. Its words are brought up to date otherwise."""
    known = db.session.scalar(select(Alarm).where(*where).execution_options(populate_existing=True))
    if known is None or known.rung > rung:
        return None
    if known.rung == rung and known.params == dict(params):
        return None
    values: dict[str, Any] = {"params": dict(params)}
    if known.rung < rung:
        values |= {"rung": rung, "rung_at": now, "told_at": None}
    same = update(Alarm).where(Alarm.id == known.id, Alarm.rung == known.rung, Alarm.cleared_at.is_(None))
    result = db.session.execute(same.values(**values))
    is_worse = result.rowcount == 1 and "rung" in values  # type: ignore[attr-defined]
    return known if is_worse else None

"""A second source of time. Whoever's clock is wrong must neither start what is not due nor order anything.

This process's clock (`now`) is held against two others: the database's, by which leases run anyway, and the CA's, by
its Date header. On SQLite the database's clock is this machine's own and says nothing. While they disagree by more than
the settings allow, nothing that waits is started and nothing is ordered, and an alarm is open for this machine.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import or_, select, update

from portal.adapters.ca.base import CertificateAuthority
from portal.adapters.errors import AdapterError
from portal.database import database_now
from portal.domain.alarms import AlarmKind
from portal.domain.renewal import RETRY_INTERVALS
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.services import alarms
from portal.services.operations import settings

#: How long one look at the database's clock is believed.
BELIEVED = timedelta(seconds=30)

#: No step waits longer than this of itself: what lies further off was written by a clock that was wrong.
LONGEST_WAIT = RETRY_INTERVALS[-1] + timedelta(hours=1)

WRONG = "clock_wrong"


@dataclass(frozen=True)
class _Look:
    """What the database's clock said: `ahead` of ours, when it was `now` here and by the monotonic clock."""

    ahead: timedelta | None
    now: datetime
    monotonic: float

    def holds(self, now: datetime) -> bool:
        """Whether it can still be believed: it is fresh, and our clock has gone no other way since."""
        passed = timedelta(seconds=time.monotonic() - self.monotonic)
        return passed < BELIEVED and abs(now - self.now - passed) < BELIEVED


def check(account: CaAccount, ca: CertificateAuthority, now: datetime) -> None:
    """Refuse to go on while our clock disagrees with the database's or this CA's; call it with no transaction open.

    Raises AdapterError("clock_wrong", temporary), having raised an alarm in a transaction of its own; once they agree
    the alarm is cleared. Also what `ca.server_time` raises.
    """
    if database_disagrees(now):
        raise AdapterError(WRONG, permanent=False, name="database")
    there = ca.server_time()
    if there is not None and not _agree("ca", account.name, there - now, now):
        raise AdapterError(WRONG, permanent=False, name=account.name)


def database_disagrees(now: datetime) -> bool:
    """Whether the database's clock and ours are too far apart; an alarm says so, until they agree again.

    One look is believed for half a minute. Commits.
    """
    ahead = _database_ahead(now)
    return ahead is not None and abs(ahead) > _tolerance()


def recover(now: datetime) -> int:
    """Make due what a clock that was wrong put off beyond any wait of ours; returns how many renewals that were.

    Call it while the clocks agree. What a CA put off by name (a limit with its date) stays as it is.
    """
    in_flight = (Renewal.started_at.is_not(None), Renewal.finished_at.is_(None))
    far_off = or_(
        (Renewal.error_code == WRONG) & (Renewal.next_attempt_at > now + _tolerance()),
        Renewal.error_code.is_(None) & (Renewal.next_attempt_at > now + LONGEST_WAIT),
    )
    ids = list(db.session.scalars(select(Renewal.id).where(*in_flight, far_off).limit(1000)))
    if ids:
        due = update(Renewal).where(Renewal.id.in_(ids), far_off).values(next_attempt_at=now, rung_until=None)
        db.session.execute(due.execution_options(synchronize_session=False))
    db.session.commit()
    return len(ids)


def _database_ahead(now: datetime) -> timedelta | None:
    """How far the database's clock is ahead of ours; None where it is no other clock."""
    if settings().is_sqlite:
        return None
    known: _Look | None = current_app.extensions.get("database_clock")
    if known is not None and known.holds(now):
        return known.ahead
    there: Any = db.session.scalar(select(database_now()))
    db.session.commit()
    current_app.extensions["database_clock"] = _Look(there - now, now, time.monotonic())
    _agree("database", "database", there - now, now)
    return there - now  # type: ignore[no-any-return]


def _agree(source: str, name: str, ahead: timedelta, now: datetime) -> bool:
    """Raise or clear the alarm about this machine's clock and that source; whether they agree."""
    machine = socket.gethostname()
    about = ("machines", f"{machine[:60]}/{source}/{name[:50]}")
    is_right = abs(ahead) <= _tolerance()
    if is_right:
        alarms.clear_alarm(AlarmKind.CLOCK_WRONG, now, subject_type=about[0], subject_id=about[1])
    else:
        words = {"name": f"{machine} · {name}", "minutes_apart": round(abs(ahead).total_seconds() / 60)}
        alarms.raise_alarm(
            AlarmKind.CLOCK_WRONG, now, subject_type=about[0], subject_id=about[1], params=words
        )
    db.session.commit()
    return is_right


def _tolerance() -> timedelta:
    return timedelta(seconds=settings().clock_tolerance)

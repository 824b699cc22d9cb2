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

import structlog
from flask import current_app
from sqlalchemy import ColumnElement, and_, not_, or_, select, update

from portal.adapters.ca.base import CertificateAuthority
from portal.adapters.errors import AdapterError
from portal.database import database_now
from portal.domain.alarms import AlarmKind
from portal.domain.renewal import RETRY_INTERVALS, RenewalState
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.models.operation import Operation
from portal.services import alarms, ca_accounts
from portal.services.operations import settings

log = structlog.get_logger(__name__)

#: How long one look at the database's clock is believed.
BELIEVED = timedelta(seconds=30)

#: No step waits longer than this of itself: what lies further off was written by a clock that was wrong.
LONGEST_WAIT = RETRY_INTERVALS[-1] + timedelta(hours=1)

#: No limit of a CA, and no check of what is hosted, lies further off (both: a week).
LONGEST_LIMIT = timedelta(days=8)

#: What a CA, or our care for it, holds back until a moment that it named.
HELD_BY_CA = ("ca_rate_limited", "ca_busy", "ca_paused", "ca_circuit_open")

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


def check_start(account: CaAccount, now: datetime) -> None:
    """Where the database is on this machine, hold our clock against the CA's before anything that waits is started.

    Elsewhere the scan has asked the database. A CA that cannot be asked says nothing: an order is checked again.
    Raises AdapterError("clock_wrong", temporary).
    """
    if not settings().is_sqlite:
        return
    db.session.commit()
    try:
        there = ca_accounts.connect(account).server_time()
    except AdapterError as error:
        log.info("clock_of_ca_unknown", account=account.name, code=error.code)
        return
    if there is not None and not _agree("ca", account.name, there - now, now):
        raise AdapterError(WRONG, permanent=False, name=account.name)


def recover(now: datetime) -> int:
    """Make due what a clock that was wrong put off beyond any wait of ours; returns how many rows that were.

    Call it while the clocks agree. Renewals under way, work that failed, and on one machine renewals that were not
    started for the clock's sake. What a CA put off by name stays, up to the longest that one plausibly names.
    """
    woken = _wake(Renewal, (*_IN_FLIGHT, _is_far_off(now)), now)
    for model in Operation.__subclasses__():
        if model is not Renewal:
            woken += _wake(model, (_due(model) > now + LONGEST_LIMIT, model.error_code.is_not(None)), now)
    if settings().is_sqlite and _is_alarmed():
        refused = (Renewal.state == RenewalState.WAITING, Renewal.error_code == WRONG)
        woken += _wake(Renewal, (*refused, Renewal.next_attempt_at > now + _tolerance()), now)
    db.session.commit()
    return woken


_IN_FLIGHT = (Renewal.started_at.is_not(None), Renewal.finished_at.is_(None))


def _is_far_off(now: datetime) -> ColumnElement[bool]:
    due = Renewal.next_attempt_at
    held_by_ca = Renewal.error_code.in_(HELD_BY_CA)
    return or_(
        and_(Renewal.error_code == WRONG, due > now + _tolerance()),
        and_(or_(Renewal.error_code.is_(None), not_(held_by_ca)), due > now + LONGEST_WAIT),
        due > now + LONGEST_LIMIT,
    )


def _due(model: Any) -> Any:
    return model.next_attempt_at


def _wake(model: Any, where: tuple[Any, ...], now: datetime) -> int:
    """A look first: there is hardly ever anything, and a write would wait for other writers."""
    ids = list(db.session.scalars(select(model.id).where(*where).limit(1000)))
    if ids:
        due = update(model).where(model.id.in_(ids), *where).values(next_attempt_at=now, rung_until=None)
        db.session.execute(due.execution_options(synchronize_session=False))
    return len(ids)


def _is_alarmed() -> bool:
    query = select(Alarm.id).where(Alarm.kind == AlarmKind.CLOCK_WRONG, Alarm.cleared_at.is_(None))
    return db.session.scalar(query.limit(1)) is not None


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
        alarms.clear_again(AlarmKind.CLOCK_WRONG, now, subject_type=about[0], subject_id=about[1])
    else:
        words = {"name": f"{machine} · {name}", "minutes_apart": round(abs(ahead).total_seconds() / 60)}
        alarms.raise_alarm(
            AlarmKind.CLOCK_WRONG, now, subject_type=about[0], subject_id=about[1], params=words
        )
    db.session.commit()
    return is_right


def _tolerance() -> timedelta:
    return timedelta(seconds=settings().clock_tolerance)

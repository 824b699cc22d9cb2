"""The expiry scan: what is due is rung for. Waiting renewals fall due by their `next_attempt_at`, like all else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from portal.clock import utc_now
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.hosting import Renewal
from portal.services import alarms, clocks, heartbeats, renewal_steps
from portal.services.driving import drive_all
from portal.services.kinds import KINDS
from portal.services.operations import Clock
from portal.services.ringing import due_ids, kinds_due, ring_due

#: Rows rung for in one tick and kind; the next tick, two seconds later, takes the next ones.
TICK_LIMIT = 1000

#: Rows rung for by one scan of a sweep: each scan passes over what the ones before it have rung for.
SWEEP_LIMIT = 10_000

#: The name of the heartbeat that a finished scan leaves.
SCAN = "scan"


@dataclass(frozen=True)
class Due:
    """One renewal that a scan would start or go on with."""

    renewal_id: str
    name: str
    state: RenewalState
    not_after: datetime
    due_since: datetime


def scan(now: datetime, limit: int = TICK_LIMIT) -> dict[str, int]:
    """Ring for what is due, climb the alarm ladders and leave a heartbeat; returns how many rings by kind.

    At most `limit` rows of a kind, the longest due first. While the database's clock and ours disagree, no renewal that
    waits is rung for, and none is called late.
    """
    doubtful = clocks.database_disagrees(now)
    rung = {
        name: ring_due(KINDS[name], now, limit, begun_only=doubtful and name == renewal_steps.KIND.name)
        for name in kinds_due(KINDS, now)
    }
    if not doubtful:
        alarms.climb_ladders(now)
    heartbeats.beat(SCAN, now)
    return rung


def sweep(now: datetime) -> int:
    """Scan until nothing unrung is due; returns how many rows were rung for.

    What a clock that was wrong put off for years comes back as well, once the clocks agree again.
    """
    if not clocks.database_disagrees(now):
        clocks.recover(now)
    total = 0
    while counted := sum(scan(now, SWEEP_LIMIT).values()):
        total += counted
    return total


def list_due(now: datetime, limit: int = 1000) -> list[Due]:
    """The renewals that are due, the longest due first; changes nothing."""
    query = (
        select(Renewal.id, Certificate.name, Renewal.state, Certificate.not_after, Renewal.next_attempt_at)
        .join(Certificate, Certificate.id == Renewal.predecessor_id)
        .where(Renewal.next_attempt_at <= now)
        .order_by(Renewal.next_attempt_at, Renewal.id)
        .limit(limit)
    )
    rows = db.session.execute(query)
    return [Due(row, name, state, not_after, due or now) for row, name, state, not_after, due in rows]


def work_until_idle(clock: Clock = utc_now, patience: timedelta = timedelta(seconds=10)) -> int:
    """Do here, in this process, all that is due, and what falls due within `patience`.

    Returns how many rows were driven. Needs neither Redis nor workers. An unexpected error in one row is raised after
    the others are done.
    """
    driven = 0
    while True:
        now = clock()
        due = {name: due_ids(kind, now) for name, kind in KINDS.items()}
        if not any(due.values()):
            soonest = _soonest()
            if soonest is None or soonest > now + patience:
                alarms.climb_ladders(now)
                return driven
            time.sleep(max((soonest - now).total_seconds(), 0.01))
            continue
        for name, ids in due.items():
            drive_all(KINDS[name], ids, clock)
            driven += len(ids)


def _soonest() -> datetime | None:
    """When the next operation of any kind falls due."""
    nexts = [
        db.session.scalar(
            select(kind.model.next_attempt_at)
            .where(kind.model.next_attempt_at.is_not(None))
            .order_by(kind.model.next_attempt_at)
            .limit(1)
        )
        for kind in KINDS.values()
    ]
    return min((one for one in nexts if one is not None), default=None)

"""Whether an installation works, judged from the traces that its processes leave in the database.

One place for the rules: the watchdog raises alarms by them, /healthz/jobs and `portal doctor` answer by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from portal.domain.alarms import AlarmKind

#: A trouble that lasts is told again after an hour, a quarter of a day, a day, and every further day up to a week.
LASTING = (
    timedelta(hours=1),
    timedelta(hours=6),
    *(timedelta(days=days) for days in range(1, 8)),
)

#: A damaged schedule is mended at once; that it happened stands for so long.
DAMAGE_STANDS = timedelta(hours=1)

#: A trace from further in the future than this was left by a clock that was wrong: it says nothing.
FUTURE = timedelta(minutes=10)


@dataclass(frozen=True)
class Limits:
    """How long each may be silent, or late."""

    scan: timedelta
    scheduler: timedelta
    workers: timedelta
    redis: timedelta
    work: timedelta
    notices: timedelta


@dataclass(frozen=True)
class Traces:
    """When each was last heard of; since when work and mail that is due waits, by its table. None: never, nothing."""

    scan: datetime | None = None
    scheduler: datetime | None = None
    workers: datetime | None = None
    redis: datetime | None = None
    overdue: Mapping[str, datetime] = field(default_factory=dict)
    oldest_mail: datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong with the installation as a whole. `rung` grows with the hours that it lasts."""

    kind: AlarmKind
    since: datetime
    rung: int
    params: Mapping[str, Any]


#: The alarms that this module decides on: one that it does not find is over.
JUDGED = (
    AlarmKind.SCAN_SILENT,
    AlarmKind.SCHEDULER_SILENT,
    AlarmKind.WORKERS_SILENT,
    AlarmKind.REDIS_AWAY,
    AlarmKind.WORK_OVERDUE,
    AlarmKind.NOTICES_STUCK,
)


def judge(traces: Traces, limits: Limits, now: datetime, watched_since: datetime) -> list[Trouble]:
    """What is wrong. Nobody is blamed for the time before `watched_since`, when perhaps nothing was running at all."""
    return list(_judge(traces, limits, now, watched_since))


def rung_of(lasted: timedelta) -> int:
    """The step that a trouble which has lasted so long is on."""
    return sum(lasted >= one for one in LASTING)


def _judge(traces: Traces, limits: Limits, now: datetime, watched_since: datetime) -> Iterator[Trouble]:
    silences = (
        (AlarmKind.SCAN_SILENT, traces.scan, limits.scan),
        (AlarmKind.SCHEDULER_SILENT, traces.scheduler, limits.scheduler),
        (AlarmKind.WORKERS_SILENT, traces.workers, limits.workers),
    )
    for kind, heard, limit in silences:
        if (since := _silent_since(heard, limit, now, watched_since)) is not None:
            yield _trouble(kind, since, now)
    if (away := _redis_away_since(traces, limits, now, watched_since)) is not None:
        yield _trouble(AlarmKind.REDIS_AWAY, away, now)
    late = {
        table: since
        for table, since in traces.overdue.items()
        if _is_late(since, limits.work, now, watched_since)
    }
    if late:
        yield _trouble(
            AlarmKind.WORK_OVERDUE, max(min(late.values()), watched_since), now, ", ".join(sorted(late))
        )
    mail = traces.oldest_mail
    if mail is not None and _is_late(mail, limits.notices, now, watched_since):
        yield _trouble(AlarmKind.NOTICES_STUCK, max(mail, watched_since), now)


def _silent_since(
    heard: datetime | None, limit: timedelta, now: datetime, watched_since: datetime
) -> datetime | None:
    """Since when, if for too long."""
    believed = heard if heard is not None and heard <= now + FUTURE else watched_since
    since = max(believed, watched_since)
    return since if now - since > limit else None


def _redis_away_since(
    traces: Traces, limits: Limits, now: datetime, watched_since: datetime
) -> datetime | None:
    """Since when those who talk to Redis go on without it; None where they are silent themselves: nobody knows then."""
    since = _silent_since(traces.redis, limits.redis, now, watched_since)
    reporters = [one for one in (traces.scheduler, traces.workers) if one is not None]
    heard_of_lately = any(timedelta(0) <= now - one <= limits.redis for one in reporters)
    return since if heard_of_lately else None


def _is_late(since: datetime, limit: timedelta, now: datetime, watched_since: datetime) -> bool:
    return now - max(since, watched_since) > limit


def _trouble(kind: AlarmKind, since: datetime, now: datetime, name: str = "") -> Trouble:
    lasted = now - since
    params: dict[str, Any] = {"minutes": int(lasted.total_seconds() // 60)}
    if name:
        params["name"] = name
    return Trouble(kind, since, rung_of(lasted), params)

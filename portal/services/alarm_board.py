"""The alarms as operators see them: the open ones, the worst first, and those that were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select

from portal.domain.alarms import RANK, AlarmKind
from portal.extensions import db
from portal.models.alarm import Alarm

#: Rows shown of each; the rest are counted.
SHOWN = 20
HISTORY = 20


@dataclass(frozen=True)
class AlarmView:
    """One alarm. `subject_type` and `subject_id` name the row that it is about, if it is about one."""

    id: str
    kind: AlarmKind
    subject_type: str
    subject_id: str
    params: Mapping[str, Any]
    raised_at: datetime
    told_at: datetime | None
    cleared_at: datetime | None


@dataclass(frozen=True)
class AlarmBoard:
    """`counts` has how many are open of each kind, the worst kind first."""

    open: Sequence[AlarmView]
    counts: Mapping[AlarmKind, int]
    cleared: Sequence[AlarmView]

    @property
    def open_count(self) -> int:
        return sum(self.counts.values())


def read() -> AlarmBoard:
    """Everything that is open, up to a limit, and what was cleared last."""
    is_open = Alarm.cleared_at.is_(None)
    worst_first = case(RANK, value=Alarm.kind, else_=len(RANK))
    standing = select(*_COLUMNS).where(is_open).order_by(worst_first, Alarm.rung.desc(), Alarm.raised_at)
    over = select(*_COLUMNS).where(Alarm.cleared_at.is_not(None)).order_by(Alarm.raised_at.desc(), Alarm.id)
    counted: dict[AlarmKind, int] = dict(
        db.session.execute(select(Alarm.kind, func.count()).where(is_open).group_by(Alarm.kind)).all()
    )
    return AlarmBoard(
        open=_views(standing.limit(SHOWN)),
        counts={kind: counted[kind] for kind in sorted(counted, key=lambda one: RANK[one])},
        cleared=_views(over.limit(HISTORY)),
    )


_COLUMNS = (
    Alarm.id,
    Alarm.kind,
    Alarm.subject_type,
    Alarm.subject_id,
    Alarm.params,
    Alarm.raised_at,
    Alarm.told_at,
    Alarm.cleared_at,
)


def _views(query: Any) -> list[AlarmView]:
    return [AlarmView(*row) for row in db.session.execute(query)]

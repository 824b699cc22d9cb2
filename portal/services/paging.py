"""Pages by key, never by offset: the thousandth page costs what the first does (see performance.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

Row = TypeVar("Row", bound=Any)
Q = TypeVar("Q", bound=Select[Any])


@dataclass(frozen=True)
class Cursor:
    """The last row of the page before: its moment and its id."""

    at: datetime
    id: str

    def __str__(self) -> str:
        return f"{self.at.astimezone(UTC).isoformat().replace('+00:00', 'Z')}~{self.id}"

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """Read what `str()` wrote; None for nothing, or for anything else: a broken link shows the first page."""
        moment, _, row_id = (text or "").partition("~")
        try:
            at = datetime.fromisoformat(moment)
        except ValueError:
            return None
        return cls(at, row_id) if at.tzinfo is not None and row_id else None


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and where the next ones begin; `next` is None on the last page."""

    rows: tuple[Row, ...]
    next: Cursor | None


def after(
    query: Q,
    moment: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[str],
    cursor: Cursor | None,
    *,
    descending: bool = False,
) -> Q:
    """The query from behind the cursor on; it must be ordered by (moment, id) in that direction."""
    if cursor is None:
        return query
    if descending:
        return query.where(or_(moment < cursor.at, and_(moment == cursor.at, row_id < cursor.id)))
    return query.where(or_(moment > cursor.at, and_(moment == cursor.at, row_id > cursor.id)))


def page_of(rows: Sequence[Row], size: int, moment: Callable[[Row], datetime]) -> Page[Row]:
    """A page of `size` rows out of one row more than that."""
    shown = tuple(rows[:size])
    last = Cursor(moment(shown[-1]), shown[-1].id) if len(rows) > size else None
    return Page(shown, last)

"""Writing down what came of a step: only by the one who holds the claim, and together with the history.

Every write is `UPDATE … WHERE state AND fence` are still what they were. A writer whose claim was taken over changes
nothing and learns of it by LostClaim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

import structlog
from sqlalchemy import Float, Table, Update, bindparam, inspect, update
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.attributes import set_committed_value

from portal.adapters.errors import AdapterError
from portal.database import database_now
from portal.domain.errors import DomainError
from portal.domain.renewal import retry_after
from portal.domain.states import advance
from portal.extensions import db
from portal.services.acting import note_change
from portal.services.operations import WORKER_ACTOR, Advance, Kind, Wait, settings

log = structlog.get_logger(__name__)

#: A permanent refusal is tried again this often all the same: what a person mended need not be reported to us.
STOPPED_INTERVAL = timedelta(days=1)

#: A step that failed this often, though each failure looked temporary, needs a person too.
TELL_AFTER_ATTEMPTS = 6

_FREE: Mapping[str, Any] = {"lease_owner": None, "lease_until": None, "rung_until": None}


class LostClaim(Exception):
    """Somebody else holds the row by now; nothing was written."""


@dataclass
class Held:
    """A row and the claim on it. `state` is what the row is known to be in."""

    kind: Kind[Any]
    row: Any
    fence: int

    @property
    def state(self) -> StrEnum:
        state: StrEnum = self.row.state
        return state


def record(held: Held, outcome: Advance | Wait, now: datetime, *, keep: bool, commit: bool = True) -> None:
    """Write an outcome and commit. With `keep` the claim goes on, for another full lease; else it is given back.

    Without `commit` the next step goes into the same transaction. Raises LostClaim.
    """
    if isinstance(outcome, Wait):
        _record_wait(held, outcome, keep=keep)
        return
    from_state = held.state
    to_state = advance(held.kind.transitions, from_state, outcome.event)
    values = {"state": to_state, "polls": 0, "next_attempt_at": outcome.due_at, **outcome.values}
    if outcome.failure is None:
        values |= {"attempts": 0, "error_code": None, "error_params": None, "stopped_at": None}
        _write(held, values, keep=keep)
    else:
        _write_failure(held, outcome.failure, now, values)
    change = (from_state, outcome.event, to_state)
    note_change(held.kind.model.__tablename__, held.row.id, change, WORKER_ACTOR, now, outcome.reason)
    if outcome.then is not None:
        outcome.then()
    if commit:
        db.session.commit()


def _record_wait(held: Held, outcome: Wait, *, keep: bool) -> None:
    because = outcome.because
    values = {"next_attempt_at": outcome.until, "polls": held.row.polls + 1, **outcome.values}
    if because is not None:
        values |= {"error_code": because.code, "error_params": dict(because.params)}
    _write(held, values, keep=keep)
    db.session.commit()


def record_failure(held: Held, error: AdapterError | DomainError, now: datetime) -> None:
    """Write a failed try, give the claim back and commit. Raises LostClaim."""
    log.warning("step_failed", kind=held.kind.name, id=held.row.id, state=held.state.value, code=error.code)
    _write_failure(held, error, now, {})
    db.session.commit()


def give_back(held: Held, rung_until: datetime) -> None:
    """Give the claim back as the row stands: its next step belongs elsewhere, and was rung for. Raises LostClaim."""
    _write(held, {"rung_until": rung_until}, keep=False)
    db.session.commit()


def _write_failure(
    held: Held, error: AdapterError | DomainError, now: datetime, values: dict[str, Any]
) -> None:
    kind, row, state = held.kind, held.row, held.state
    attempts = row.attempts + 1
    is_permanent = error.permanent if isinstance(error, AdapterError) else True
    was_stopped = row.stopped_at is not None
    needs_person = is_permanent or attempts >= TELL_AFTER_ATTEMPTS
    has_step = values.get("state", state) in kind.steps
    values = values | {
        "attempts": attempts,
        "error_code": error.code,
        "error_params": dict(error.params),
        "next_attempt_at": _next_try(held, error, attempts, now) if has_step else None,
        "stopped_at": (row.stopped_at or now) if needs_person else None,
    }
    _write(held, values, keep=False)
    if needs_person and not was_stopped:
        change = (state, "stop", values.get("state", state))
        params = dict(error.params)
        note_change(kind.model.__tablename__, row.id, change, WORKER_ACTOR, now, error.code, params)
        kind.on_stop(row, now)


def _next_try(held: Held, error: AdapterError | DomainError, attempts: int, now: datetime) -> datetime:
    """As the table of intervals says, no later than the kind allows, and not before the other side wants it."""
    not_before = error.not_before if isinstance(error, AdapterError) else None
    is_permanent = error.permanent if isinstance(error, AdapterError) else True
    pause = STOPPED_INTERVAL if is_permanent else retry_after(attempts)
    if held.kind.longest_pause is not None:
        cap = held.kind.longest_pause(held.row, now)
        pause = pause if cap is None else min(pause, cap)
    return max(now + pause, not_before or now)


def _write(held: Held, values: Mapping[str, Any], *, keep: bool) -> None:
    row = held.row
    written = dict(values) if keep else {**_FREE, **values}
    statement = _update(row.__table__, tuple(sorted(written)), keep)
    known = {"held_id": row.id, "held_state": row.state, "held_fence": held.fence}
    known["lease_seconds"] = settings().lease_seconds
    result = db.session.execute(statement, known | {f"new_{name}": value for name, value in written.items()})
    if result.rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        raise LostClaim(f"{held.kind.name} {row.id}")
    _remember(row, values)


@cache
def _update(table: Table, names: tuple[str, ...], keep: bool) -> Update:
    """The conditional UPDATE for these columns, made once: building one costs ten times as much as running it."""
    columns: dict[str, Any] = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    if keep:
        columns["lease_until"] = database_now(bindparam("lease_seconds", type_=Float()))
    mine = (table.c.id, "held_id"), (table.c.state, "held_state"), (table.c.fence, "held_fence")
    where = [column == bindparam(name, type_=column.type) for column, name in mine]
    statement: Update = update(table).where(*where).values(columns)
    return statement


def _remember(row: Any, values: Mapping[str, Any]) -> None:
    """Let the loaded row say what was just written, without reading it again; relations that changed are found anew."""
    for name, value in values.items():
        set_committed_value(row, name, value)
    changed = [name for name in _relations_on(inspect(type(row)), frozenset(values)) if name in row.__dict__]
    if changed:
        db.session.expire(row, changed)


@cache
def _relations_on(mapper: Mapper[Any], names: frozenset[str]) -> tuple[str, ...]:
    """The relations of a model that hang on one of these columns."""
    return tuple(
        one.key for one in mapper.relationships if any(column.key in names for column in one.local_columns)
    )

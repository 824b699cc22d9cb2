"""The words of background work: what an operation is made of, and what one step of it can answer.

How rows are claimed and steps are run: `driving`. How an outcome is written: `recording`. What is due: `ringing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from flask import current_app

from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.queue import JobName
from portal.settings import Settings

Row = TypeVar("Row", bound=Any)
Clock = Callable[[], datetime]

#: What history calls work that nobody asked for by hand.
WORKER_ACTOR = "worker"


@dataclass(frozen=True)
class Advance:
    """The step is done: take `event`, set `values`, run `then` in the same transaction (it must not commit).

    `due_at` is when the next step may run; None where nothing is due any more. With `failure` the move counts as
    a failed try: it is shown, and the next try waits as the table of intervals says.
    """

    event: StrEnum
    due_at: datetime | None
    values: Mapping[str, Any] = field(default_factory=dict)
    then: Callable[[], None] | None = None
    failure: AdapterError | DomainError | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Wait:
    """Not yet: look again at `until`. Not a failure; `because` is shown all the same where it is worth knowing."""

    until: datetime
    values: Mapping[str, Any] = field(default_factory=dict)
    because: AdapterError | None = None


Step = Callable[[Row, datetime], Advance | Wait]


#: Rows claimed and loaded at once. Few: the last of them waits for the steps of all before it, and those go outside.
CLAIMED_AT_ONCE = 10


@dataclass(frozen=True)
class Kind(Generic[Row]):
    """One kind of operation.

    `on_stop` runs in the transaction that stops a row for a person: it posts the notices. `job_of` says in which job
    the next step of a row belongs, where that is not always `job` (steps that keep a processor busy have their own).
    `longest_pause` caps the wait before the next try, for what cannot wait a day. `local` are the states whose steps
    touch nothing but the database; `loading` says what is read together with a row, since its steps will want it.
    """

    name: str
    model: type[Row]
    transitions: Mapping[Any, Any]
    steps: Mapping[Any, Step[Row]]
    job: JobName
    on_stop: Callable[[Row, datetime], None]
    job_of: Callable[[Row], JobName] | None = None
    longest_pause: Callable[[Row, datetime], timedelta | None] | None = None
    local: frozenset[Any] = frozenset()
    claimed_at_once: int = CLAIMED_AT_ONCE
    loading: tuple[Any, ...] = ()


def settings() -> Settings:
    """The settings of the running app."""
    current: Settings = current_app.extensions["settings"]
    return current


def leave_transaction() -> None:
    """End the read transaction before talking to the outside; loaded rows stay readable."""
    db.session.commit()

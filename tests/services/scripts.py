"""Steps of a test's own over real renewal rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.adapters.errors import AdapterError
from portal.domain.renewal import TRANSITIONS, RenewalEvent, RenewalState
from portal.extensions import db
from portal.models.history import HistoryEntry
from portal.models.hosting import Renewal
from portal.queue import JobName
from portal.services.operations import Advance, Kind, Wait


@dataclass
class Script:
    """Steps that do what the test says, and remember that they ran."""

    start: Any
    ran: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def kind(self) -> Kind[Renewal]:
        return Kind(
            "renewal",
            Renewal,
            TRANSITIONS,
            {RenewalState.WAITING: self.step},
            JobName.ADVANCE_RENEWALS,
            self.stop,
        )

    def step(self, row: Renewal, now: datetime) -> Advance | Wait:
        self.ran.append(row.id)
        return self.start(row, now)

    def stop(self, row: Renewal, now: datetime) -> None:
        self.stopped.append(row.error_code or "")


def settle(row: Renewal, now: datetime) -> Advance:
    return Advance(RenewalEvent.START, due_at=None)


def temporary(row: Renewal, now: datetime) -> Advance:
    raise AdapterError("ca_unavailable", permanent=False, name="Example CA")


def permanent(row: Renewal, now: datetime) -> Advance:
    raise AdapterError("ca_refused", permanent=True)


def reread(renewal: Renewal) -> Renewal:
    db.session.expire_all()
    return db.session.get_one(Renewal, renewal.id)


def events(renewal: Renewal) -> list[tuple[str, str, str, str | None]]:
    query = select(HistoryEntry).where(HistoryEntry.subject_id == renewal.id).order_by(HistoryEntry.at)
    return [(one.from_state, one.event, one.to_state, one.reason) for one in db.session.scalars(query)]

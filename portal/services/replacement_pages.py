"""How mass replacements stand: for the operator's page and for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.domain.replacement import ReplacementState
from portal.extensions import db
from portal.models.authority import MassReplacement
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.history import HistoryEntry
from portal.models.hosting import Renewal
from portal.services import subjects
from portal.services.replacing import UNDER_WAY
from portal.services.subjects import Subject

#: Mass replacements listed, and troubles shown of each.
SHOWN = 20

#: How long a finished one is watched for the renewals that it began.
WATCHED = timedelta(days=1)


@dataclass(frozen=True)
class Progress:
    """One mass replacement: `started` of `total` were made due, `replaced` have a successor by now.

    `troubles` are renewals of it that need a person, out of `trouble_count`; `skipped` were left out, with the reason
    in their history. `ends_at` is when the last portion is due at this pace.
    """

    row: MassReplacement
    replaced: int
    trouble_count: int
    troubles: Sequence[Subject]
    skipped: int
    ends_at: datetime | None
    is_old: bool

    @property
    def started(self) -> int:
        return min(self.row.started, self.row.total)

    @property
    def is_over(self) -> bool:
        """Nothing will change any more by itself; what was begun is watched for a day at most."""
        if self.row.state in UNDER_WAY:
            return False
        return self.is_old or self.replaced >= self.row.started - self.skipped


def list_all(now: datetime) -> list[Progress]:
    """The newest mass replacements, those under way first."""
    query = select(MassReplacement).options(joinedload(MassReplacement.ca_account))
    query = query.order_by(MassReplacement.finished_at.is_not(None), MassReplacement.created_at.desc())
    return [progress(row, now) for row in db.session.scalars(query.limit(SHOWN))]


def find(replacement_id: str) -> MassReplacement | None:
    """One mass replacement, fresh from the database."""
    return db.session.get(MassReplacement, replacement_id, populate_existing=True)


def progress(row: MassReplacement, now: datetime) -> Progress:
    """How one stands: four queries."""
    scope = (
        Certificate.ca_account_id == row.ca_account_id,
        Certificate.created_at < row.issued_before,
    )
    replaced = select(func.count()).where(*scope, Certificate.replaced_at >= row.created_at)
    stopped = (
        Renewal.stopped_at.is_not(None),
        Renewal.predecessor_id.in_(select(Certificate.id).where(*scope)),
    )
    trouble_count = db.session.scalar(select(func.count()).select_from(Renewal).where(*stopped)) or 0
    skipped = select(func.count()).where(
        HistoryEntry.subject_type == "mass_replacements",
        HistoryEntry.subject_id == row.id,
        HistoryEntry.event == "skip",
    )
    query = subjects.query("renewal").where(*stopped).order_by(Renewal.stopped_at).limit(SHOWN)
    return Progress(
        row,
        replaced=db.session.scalar(replaced) or 0,
        trouble_count=trouble_count,
        troubles=subjects.fetch("renewal", query) if trouble_count else (),
        skipped=db.session.scalar(skipped) or 0,
        ends_at=_ends_at(row, now),
        is_old=row.finished_at is not None and row.finished_at < now - WATCHED,
    )


def accounts() -> Sequence[CaAccount]:
    """What a mass replacement can be started for."""
    return db.session.scalars(select(CaAccount).order_by(CaAccount.name)).all()


def _ends_at(row: MassReplacement, now: datetime) -> datetime | None:
    if row.state is not ReplacementState.RUNNING:
        return None
    left = max(row.total - row.started, 0)
    return now + timedelta(hours=1) * left / row.per_hour

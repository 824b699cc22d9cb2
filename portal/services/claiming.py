"""Claims: one conditional UPDATE takes rows that are due and free; their lease is measured by the database's clock."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Float, Table, bindparam, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from portal.database import database_now
from portal.extensions import db
from portal.models.types import UtcDateTime
from portal.services.operations import Kind, settings
from portal.services.recording import Held

#: Who holds a lease.
LEASE_OWNER = f"{socket.gethostname()}:{os.getpid()}"[:64]


def claim(kind: Kind[Any], ids: Sequence[str], now: datetime) -> Iterator[Held]:
    """Claim those that are due and free, and load them; in the order of `ids`."""
    model = kind.model
    known = {"ids": list(ids), "now": now, "owner": LEASE_OWNER, "lease_seconds": settings().lease_seconds}
    fences: dict[str, int] = dict(db.session.execute(_claim_those(model.__table__), known).all())
    db.session.commit()
    if not fences:
        return
    # What was loaded for earlier rows may have changed since: nothing of it is believed any more.
    db.session.expire_all()
    loading = select(model).where(model.id.in_(fences)).options(*kind.loading)
    rows = {row.id: row for row in db.session.scalars(loading)}
    for row_id in ids:
        if row_id in rows and row_id in fences:
            yield Held(kind, rows[row_id], fences.pop(row_id))


@cache
def _claim_those(table: Table) -> ReturningUpdate[Any]:
    """The conditional UPDATE that claims; made once."""
    free = or_(table.c.lease_until.is_(None), table.c.lease_until < database_now())
    due = table.c.next_attempt_at <= bindparam("now", type_=UtcDateTime())
    claimed = update(table).where(table.c.id.in_(bindparam("ids", expanding=True)), due, free)
    lease = database_now(bindparam("lease_seconds", type_=Float()))
    taken = claimed.values(lease_owner=bindparam("owner"), lease_until=lease, fence=table.c.fence + 1)
    return taken.returning(table.c.id, table.c.fence)


def claim_again(held: Held) -> bool:
    """Begin the lease anew, if the claim still is ours; the row may have been changed by people meanwhile."""
    model = held.kind.model
    mine = update(model).where(model.id == held.row.id, model.fence == held.fence)
    statement = mine.values(lease_until=database_now(settings().lease_seconds))
    result = db.session.execute(statement.execution_options(synchronize_session=False))
    db.session.commit()
    db.session.refresh(held.row)
    return bool(result.rowcount)  # type: ignore[attr-defined]

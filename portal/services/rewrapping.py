"""Rotating master keys: every envelope is wrapped anew under the newest one, a batch at a time, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from portal.adapters.key_vault import Place, master_key_version
from portal.extensions import db
from portal.faults import faultpoint
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.deployment import CloudAccount
from portal.models.hosting import Renewal
from portal.models.validation import DelegationZone, DnsCredential
from portal.services.private_keys import vault

BATCH = 200


@dataclass(frozen=True)
class SealedColumn:
    """A column that holds envelopes; `account_of` gives the account that they are bound to."""

    model: Any
    column: str
    account_of: Callable[[Any], str]

    def place(self, row: Any) -> Place:
        return Place(self.account_of(row), self.model.__tablename__, row.id, self.column)


#: Every sealed column there is; a test compares it with the models.
SEALED_COLUMNS = (
    SealedColumn(Certificate, "private_key", lambda row: str(row.organisation_id)),
    SealedColumn(Renewal, "private_key", lambda row: str(row.organisation_id)),
    SealedColumn(CloudAccount, "secrets", lambda row: str(row.organisation_id)),
    SealedColumn(CaAccount, "secrets", lambda _row: ""),
    SealedColumn(DnsCredential, "secrets", lambda row: str(row.organisation_id)),
    SealedColumn(DelegationZone, "secrets", lambda _row: ""),
)


def rewrap_all() -> tuple[int, int]:
    """Wrap what is not under the newest master key; returns (rewrapped, already there). Safe to stop and start again.

    Raises VaultError where an envelope does not open.
    """
    done = [_rewrap_row(column, row) for column in SEALED_COLUMNS for row in _rows(column)]
    db.session.commit()
    return done.count(True), done.count(False)


def versions_in_use() -> dict[int, int]:
    """How many envelopes are under each master key: a version without any can be taken out of the settings."""
    counted: dict[int, int] = {}
    for column in SEALED_COLUMNS:
        for row in _rows(column):
            version = master_key_version(getattr(row, column.column))
            counted[version] = counted.get(version, 0) + 1
    return counted


def check_all() -> int:
    """Open every envelope and return how many there are. Raises VaultError for the first that does not open."""
    counted = 0
    for column in SEALED_COLUMNS:
        for row in _rows(column):
            vault().open(getattr(row, column.column), column.place(row))
            counted += 1
    return counted


def _rows(column: SealedColumn) -> Iterator[Any]:
    attribute, last = getattr(column.model, column.column), ""
    while True:
        query = select(column.model).where(attribute.is_not(None), column.model.id > last)
        query = query.order_by(column.model.id).limit(BATCH).execution_options(populate_existing=True)
        rows = list(db.session.scalars(query))
        if not rows:
            return
        yield from rows
        last = rows[-1].id


def _rewrap_row(column: SealedColumn, row: Any) -> bool:
    envelope = getattr(row, column.column)
    wrapped = vault().rewrap(envelope, column.place(row))
    if wrapped is envelope:
        return False
    attribute = getattr(column.model, column.column)
    # Only if nobody changed it meanwhile: a renewal under way may have replaced or dropped its key.
    same = update(column.model).where(column.model.id == row.id, attribute == envelope)
    db.session.execute(same.values({column.column: wrapped}).execution_options(synchronize_session=False))
    db.session.commit()
    faultpoint("rewrapping.row")
    return True

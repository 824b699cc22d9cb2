"""What CAs of ours keep in the database: orders that operators carry, keys of orders, revocations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.adapters.ca.ledger import KeptOrder, Revoked
from portal.adapters.errors import AdapterError
from portal.domain.manual_order import TRANSITIONS, ManualOrderEvent, ManualOrderState
from portal.domain.states import advance
from portal.extensions import Model, db
from portal.models.authority import CaOrderKey, CaRevocation, ManualOrder
from portal.models.types import new_id
from portal.services import manual_alarms
from portal.services.acting import note_change
from portal.services.operations import WORKER_ACTOR

#: Lines of certificates that expired this long ago are not even looked at: a list needs them no more.
EXPIRED_KEPT = timedelta(days=8)


class DatabaseLedger:
    """The ledger of one account. Every call ends the caller's transaction: begin with none open."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id

    def place(self, names: Sequence[str], now: datetime) -> KeptOrder:
        """Keep a new order."""
        order = ManualOrder(
            id=new_id(),
            ca_account_id=self._account_id,
            state=ManualOrderState.PLACED,
            names=list(names),
            created_at=now,
        )
        db.session.add(order)
        db.session.commit()
        return kept(order)

    def find(self, order_id: str) -> KeptOrder | None:
        """An order of this account, as it stands now."""
        order = self._find(order_id)
        db.session.commit()
        return kept(order) if order is not None else None

    def submit(self, order_id: str, csr_pem: str, now: datetime) -> KeptOrder:
        """Give an order its CSR and tell the operators; one that has its CSR stays as it is.

        Raises AdapterError("ca_order_gone").
        """
        order = self._find(order_id)
        if order is None:
            raise AdapterError("ca_order_gone", permanent=False)
        if order.state is ManualOrderState.PLACED:
            self._submit(order, csr_pem, now)
        db.session.commit()
        return kept(order)

    def revoke(self, serial: int, reason: int, not_after: datetime, now: datetime) -> None:
        """Add a line to the revocation list; the first one for a serial stays."""
        values = {"serial": f"{serial:x}", "reason": reason, "not_after": not_after, "revoked_at": now}
        _insert_if_absent(CaRevocation, {"ca_account_id": self._account_id, **values})
        db.session.commit()

    def revoked(self, now: datetime) -> tuple[Revoked, ...]:
        """The lines of the revocation list."""
        recent = CaRevocation.not_after > now - EXPIRED_KEPT
        query = select(CaRevocation).where(CaRevocation.ca_account_id == self._account_id, recent)
        rows = db.session.scalars(query).all()
        db.session.commit()
        return tuple(Revoked(int(row.serial, 16), row.reason, row.revoked_at, row.not_after) for row in rows)

    def bind(self, order: str, key: str, now: datetime) -> bool:
        """Whether the order is for this key; the first key that is given for it decides (by the primary key)."""
        where = (CaOrderKey.ca_account_id == self._account_id, CaOrderKey.order_sha256 == order)
        known = db.session.scalar(select(CaOrderKey.key_sha256).where(*where))
        if known is None:
            values = {"ca_account_id": self._account_id, "order_sha256": order, "key_sha256": key}
            _insert_if_absent(CaOrderKey, {**values, "created_at": now})
            db.session.commit()
            known = db.session.scalar(select(CaOrderKey.key_sha256).where(*where))
        db.session.commit()
        return known == key

    def _find(self, order_id: str) -> ManualOrder | None:
        query = select(ManualOrder).where(
            ManualOrder.id == order_id, ManualOrder.ca_account_id == self._account_id
        )
        return db.session.scalar(query.execution_options(populate_existing=True))

    def _submit(self, order: ManualOrder, csr_pem: str, now: datetime) -> None:
        to_state = advance(TRANSITIONS, ManualOrderState.PLACED, ManualOrderEvent.SUBMIT)
        placed = update(ManualOrder).where(ManualOrder.id == order.id, ManualOrder.state == order.state)
        result = db.session.execute(placed.values(state=to_state, csr_pem=csr_pem))
        if result.rowcount == 1:  # type: ignore[attr-defined]
            change = (ManualOrderState.PLACED, ManualOrderEvent.SUBMIT, to_state)
            note_change(ManualOrder.__tablename__, order.id, change, WORKER_ACTOR, now)
            manual_alarms.raise_for(order, now)
        db.session.refresh(order)


def kept(order: ManualOrder) -> KeptOrder:
    """A row as adapters see it."""
    return KeptOrder(
        order.id, tuple(order.names), order.state.value, order.csr_pem, order.chain_pem, order.refusal
    )


def _insert_if_absent(model: type[Model], values: Mapping[str, Any]) -> None:
    dialect = postgresql if db.session.connection().dialect.name == "postgresql" else sqlite
    db.session.execute(dialect.insert(model).values(**values).on_conflict_do_nothing())

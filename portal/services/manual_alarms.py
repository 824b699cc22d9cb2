"""The alarm of a manual order: open from the day on which operators have something to carry until it is done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.adapters.ca.manual import url_of
from portal.domain.alarms import AlarmKind
from portal.extensions import db
from portal.models.authority import ManualOrder
from portal.models.hosting import Renewal
from portal.services import alarms


def renewal_of(order_id: str) -> Renewal | None:
    """The renewal in flight that waits for a manual order, with its predecessor."""
    query = select(Renewal).where(
        Renewal.started_at.is_not(None), Renewal.finished_at.is_(None), Renewal.order_url == url_of(order_id)
    )
    return db.session.scalar(query.options(joinedload(Renewal.predecessor)))


def raise_for(order: ManualOrder, now: datetime) -> None:
    """Tell the operators of an order to carry, within the caller's transaction: which, where to, until when."""
    renewal = renewal_of(order.id)
    params: dict[str, Any] = {
        "name": order.names[0],
        "names": list(order.names),
        "account": order.ca_account.name,
        "order_id": order.id,
    }
    if renewal is not None:
        not_after = renewal.predecessor.not_after
        params |= {"name": renewal.predecessor.name, "not_after": not_after.isoformat()}
        params["days"] = max((not_after - now).days, 0)
    table = ManualOrder.__tablename__
    alarms.raise_alarm(AlarmKind.MANUAL_ORDER, now, subject_type=table, subject_id=order.id, params=params)


def clear_for(order: ManualOrder, now: datetime) -> None:
    """It is done, within the caller's transaction."""
    table = ManualOrder.__tablename__
    alarms.clear_alarm(AlarmKind.MANUAL_ORDER, now, subject_type=table, subject_id=order.id)

"""Orders: made with the price frozen, one at a time per certificate; and read back."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from portal.domain.errors import DomainError
from portal.domain.money import Money
from portal.domain.order import OPEN_FOR, TRANSITIONS, OrderEvent, OrderKind, OrderState
from portal.domain.states import advance
from portal.extensions import db
from portal.models.order import Order, OrderLine
from portal.models.types import new_id
from portal.services import catalogue, order_steps
from portal.services.acting import Actor, audit, note_change
from portal.services.driving import drive
from portal.services.hosting import Offer, offers
from portal.services.paging import Cursor, Page, after, page_of

PAGE_SIZE = 25


def place_order(certificate_ids: Sequence[str], seen_total_fen: int, actor: Actor, now: datetime) -> Order:
    """An open order to host these certificates at today's price, held for 30 minutes.

    Asked again while it is open, the same order is returned: one order per certificate and purpose, even for clicks
    at the same moment. Raises DomainError: price_changed (the customer saw another total), order_already_open (for
    some of these certificates; `number` says which), and the codes of hosting.offers.
    """
    ids = tuple(dict.fromkeys(certificate_ids))
    offered = offers(ids, actor.organisation_id, now)
    if (order := _open_order(ids, now)) is not None:
        return _same_or_refuse(order, ids)
    price = sum((offer.total for offer in offered), Money(0))
    if price.fen != seen_total_fen:
        raise DomainError("price_changed")
    order = _new_order(offered, price, actor, now)
    db.session.add(order)
    audit(actor, "order.place", "orders", order.id, now, number=order.number, total_fen=price.fen)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        winner = _open_order(ids, now)
        if winner is None:
            raise
        return _same_or_refuse(winner, ids)
    return order


def _open_order(certificate_ids: Sequence[str], now: datetime) -> Order | None:
    """The order that blocks these certificates; one whose time is over is brought to its end first."""
    for _ in range(2):
        blocking = (
            select(Order).join(OrderLine).where(OrderLine.open_certificate_id.in_(certificate_ids)).limit(1)
        )
        order = db.session.scalar(blocking.execution_options(populate_existing=True))
        if order is None or now < order.expires_at:
            return order
        drive(order_steps.KIND, order.id, lambda: now)
    return order


def _same_or_refuse(order: Order, certificate_ids: Sequence[str]) -> Order:
    if {line.certificate_id for line in order.lines} != set(
        certificate_ids
    ) or order.state is not OrderState.OPEN:
        raise DomainError("order_already_open", number=order.number)
    return order


def _new_order(offered: Sequence[Offer], price: Money, actor: Actor, now: datetime) -> Order:
    expires_at = now + OPEN_FOR
    return Order(
        id=new_id(),
        number=f"{now:%Y%m%d}{secrets.randbelow(10**8):08d}",
        organisation_id=actor.organisation_id,
        created_by_id=actor.id,
        kind=OrderKind.EXISTING,
        state=OrderState.OPEN,
        price_book_edition=catalogue.newest_price_book().edition,
        total_fen=price.fen,
        currency=price.currency,
        created_at=now,
        expires_at=expires_at,
        next_attempt_at=expires_at,
        lines=_lines(offered),
    )


def _lines(offered: Sequence[Offer]) -> list[OrderLine]:
    pairs = [(offer, line) for offer in offered for line in offer.lines]
    return [
        OrderLine(
            id=new_id(),
            position=position,
            item=line.item,
            certificate_id=offer.certificate.id,
            open_certificate_id=offer.certificate.id,
            product_id=offer.product.id,
            unit_fen=line.unit.fen,
            quantity=line.quantity,
            total_fen=line.total.fen,
        )
        for position, (offer, line) in enumerate(pairs)
    ]


def cancel(order: Order, actor: Actor, now: datetime) -> None:
    """Take back an open order that nobody went to pay. Raises DomainError: transition_refused, payment_under_way."""
    to_state = advance(TRANSITIONS, order.state, OrderEvent.CANCEL)
    if order.payments:
        raise DomainError("payment_under_way")
    from_state, order.state, order.next_attempt_at = order.state, to_state, None
    order_steps.close(order)
    note_change("orders", order.id, (from_state.value, OrderEvent.CANCEL, to_state), actor.id, now)
    audit(actor, "order.cancel", "orders", order.id, now, number=order.number)
    db.session.commit()


def get_order(number: str, organisation_id: str) -> Order:
    """An order of this organisation with its lines and payments. Raises DomainError("order_not_found")."""
    query = (
        select(Order)
        .where(Order.number == number, Order.organisation_id == organisation_id)
        .options(
            selectinload(Order.lines).joinedload(OrderLine.certificate),
            selectinload(Order.lines).joinedload(OrderLine.product),
            selectinload(Order.payments),
        )
        .execution_options(populate_existing=True)
    )
    order = db.session.scalar(query)
    if order is None:
        raise DomainError("order_not_found")
    return order


def list_orders(organisation_id: str, cursor: Cursor | None = None) -> Page[Order]:
    """Orders, the newest first, a page at a time."""
    query = (
        select(Order)
        .where(Order.organisation_id == organisation_id)
        .options(selectinload(Order.lines).joinedload(OrderLine.certificate))
        .order_by(Order.created_at.desc(), Order.id.desc())
    )
    query = after(query, Order.created_at, Order.id, cursor, descending=True)
    return page_of(
        db.session.scalars(query.limit(PAGE_SIZE + 1)).all(), PAGE_SIZE, lambda row: row.created_at
    )

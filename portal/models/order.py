"""Orders, their lines, their payments."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.money import Money
from portal.domain.order import OrderKind, OrderState, PaymentState
from portal.domain.pricing import Item
from portal.extensions import Model
from portal.models.catalogue import Product
from portal.models.certificate import Certificate
from portal.models.operation import Operation, attention_index, due_index
from portal.models.types import EnumText, Moment, RowId, UtcDateTime


class Order(Operation, Model):
    """An order with its price frozen. `number` is what people and gateways call it. As an operation it is due
    when it may expire, when its payment should be asked after, and when it is paid and not fulfilled yet.
    """

    __tablename__ = "orders"
    __table_args__ = (
        Index("ix_orders_list", "organisation_id", "created_at", "id"),
        Index("ix_orders_recent", "created_at", "id"),
        due_index("orders"),
        attention_index("orders", "stopped_at IS NOT NULL OR state = 'disputed'"),
    )

    id: Mapped[RowId]
    number: Mapped[str] = mapped_column(String(32), unique=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    created_by_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[OrderKind] = mapped_column(EnumText(OrderKind))
    state: Mapped[OrderState] = mapped_column(EnumText(OrderState))
    price_book_edition: Mapped[int] = mapped_column(ForeignKey("price_books.edition"))
    total_fen: Mapped[int] = mapped_column(Integer)
    currency: Mapped[str] = mapped_column(String(3))
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    paid_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

    lines: Mapped[list[OrderLine]] = relationship(back_populates="order", order_by="OrderLine.position")
    payments: Mapped[list[Payment]] = relationship(back_populates="order")

    @property
    def total(self) -> Money:
        return Money(self.total_fen, self.currency)


class OrderLine(Model):
    """One line: `quantity` years of `item` for one certificate. An open order blocks a second for the same
    certificate through `open_certificate_id`, which is emptied when the order closes.
    """

    __tablename__ = "order_lines"
    __table_args__ = (
        Index(
            "uq_order_lines_open_certificate",
            "open_certificate_id",
            "item",
            unique=True,
            sqlite_where=text("open_certificate_id IS NOT NULL"),
            postgresql_where=text("open_certificate_id IS NOT NULL"),
        ),
    )

    id: Mapped[RowId]
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), index=True)
    position: Mapped[int] = mapped_column(Integer)
    item: Mapped[Item] = mapped_column(EnumText(Item))
    certificate_id: Mapped[str] = mapped_column(ForeignKey("certificates.id"), index=True)
    open_certificate_id: Mapped[str | None] = mapped_column(ForeignKey("certificates.id"))
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"))
    unit_fen: Mapped[int] = mapped_column(Integer)
    quantity: Mapped[int] = mapped_column(Integer)
    total_fen: Mapped[int] = mapped_column(Integer)

    order: Mapped[Order] = relationship(back_populates="lines")
    certificate: Mapped[Certificate] = relationship(foreign_keys=[certificate_id])
    product: Mapped[Product] = relationship()


class Payment(Model):
    """One try to pay an order through a gateway. `trade_number` is the gateway's, and counts once."""

    __tablename__ = "payments"

    id: Mapped[RowId]
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), index=True)
    gateway: Mapped[str] = mapped_column(String(32))
    merchant_number: Mapped[str] = mapped_column(String(64), unique=True)
    trade_number: Mapped[str | None] = mapped_column(String(64), unique=True)
    state: Mapped[PaymentState] = mapped_column(EnumText(PaymentState))
    amount_fen: Mapped[int] = mapped_column(Integer)
    currency: Mapped[str] = mapped_column(String(3))
    created_at: Mapped[Moment]
    paid_at: Mapped[datetime | None] = mapped_column(UtcDateTime())

    order: Mapped[Order] = relationship(back_populates="payments")

"""What is sold: certificate products, the hosting fee, and the CA accounts that issue them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.spec import DomainType, Grade, Spec, ValidationType
from portal.extensions import Model
from portal.models.types import EnumText, Moment, PlainJson, RowId, ShortText, UtcDateTime


class CaAccount(Model):
    """An account at a CA. `kind` names an implementation in adapters/ca; `config` holds its public settings,
    `secrets` an envelope of its secret ones (account key, EAB, a private CA's own key) as JSON.

    `failures` counts calls in a row that found the CA away; from a few on, it is left alone until `open_until` (circuit
    breaker). `limited_until` is what the CA itself asked for (429 with Retry-After).
    """

    __tablename__ = "ca_accounts"

    id: Mapped[RowId]
    name: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    config: Mapped[dict[str, Any]] = mapped_column(PlainJson)
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    account_url: Mapped[str | None] = mapped_column(Text)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    failures: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    open_until: Mapped[datetime | None] = mapped_column(UtcDateTime())
    limited_until: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[Moment]


class Product(Model):
    """A certificate product: a specification, its price for one year, the CA account that issues it, its key type."""

    __tablename__ = "products"

    id: Mapped[RowId]
    code: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[ShortText]
    domain_type: Mapped[DomainType] = mapped_column(EnumText(DomainType))
    validation_type: Mapped[ValidationType] = mapped_column(EnumText(ValidationType))
    brand: Mapped[str] = mapped_column(String(64), index=True)
    grade: Mapped[Grade] = mapped_column(EnumText(Grade))
    price_fen: Mapped[int] = mapped_column(Integer)
    currency: Mapped[str] = mapped_column(String(3), default="CNY")
    ca_account_id: Mapped[str] = mapped_column(ForeignKey("ca_accounts.id"))
    hosting_window_days: Mapped[int | None] = mapped_column(Integer)
    is_on_sale: Mapped[bool] = mapped_column(Boolean, default=True)

    ca_account: Mapped[CaAccount] = relationship()

    @property
    def spec(self) -> Spec:
        return Spec(self.domain_type, self.validation_type, self.brand, self.grade)


class ProductFallback(Model):
    """Another account that issues the same product, tried in the order of `position` while the ones before are away."""

    __tablename__ = "product_fallbacks"

    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    ca_account_id: Mapped[str] = mapped_column(ForeignKey("ca_accounts.id"))

    ca_account: Mapped[CaAccount] = relationship()


class PriceBook(Model):
    """One edition of the price book; the newest holds. An order names the edition that it was priced by."""

    __tablename__ = "price_books"

    edition: Mapped[int] = mapped_column(Integer, primary_key=True)
    hosting_fee_fen: Mapped[int] = mapped_column(Integer)
    currency: Mapped[str] = mapped_column(String(3))
    created_at: Mapped[Moment]
    created_by: Mapped[str] = mapped_column(String(64))

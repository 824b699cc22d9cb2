"""Loading the catalogue from a TOML file: products, and the hosting fee as a new edition of the price book."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import delete, select

from portal.domain.errors import DomainError
from portal.domain.money import CNY, Money
from portal.domain.pricing import FIRST_HOSTING_FEE
from portal.domain.spec import DomainType, Grade, ValidationType
from portal.extensions import db
from portal.models.catalogue import CaAccount, PriceBook, Product, ProductFallback
from portal.models.types import new_id
from portal.services.auditing import audit

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True)
class Loaded:
    """What a load did."""

    products: int
    edition: int


def load(text: str, actor: str, now: datetime) -> Loaded:
    """Take in `[[product]]` tables and an optional `hosting_fee`; everything or nothing.

    A product that is not in the file stays as it is. Raises DomainError("catalogue_wrong", place, problem).
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong("file", str(error)) from None
    tables = data.get("product", [])
    try:
        for number, table in enumerate(tables, 1):
            _take_product(table, f"product {number} ({table.get('code', 'no code')})")
        edition = set_hosting_fee(_fee(data), actor, now)
    except DomainError:
        db.session.rollback()
        raise
    params = {"products": len(tables), "edition": edition}
    audit(db.session, "catalogue.load", ("price_books", str(edition)), actor, now, params=params)
    db.session.commit()
    return Loaded(len(tables), edition)


def set_hosting_fee(fee: Money | None, actor: str, now: datetime) -> int:
    """Open a new edition of the price book where the fee changes or there is none; returns the edition that holds.

    Within the caller's transaction.
    """
    newest = db.session.scalar(select(PriceBook).order_by(PriceBook.edition.desc()).limit(1))
    wanted = fee or (Money(newest.hosting_fee_fen, newest.currency) if newest else FIRST_HOSTING_FEE)
    if newest is not None and (newest.hosting_fee_fen, newest.currency) == (wanted.fen, wanted.currency):
        return newest.edition
    edition = newest.edition + 1 if newest else 1
    book = PriceBook(
        edition=edition,
        hosting_fee_fen=wanted.fen,
        currency=wanted.currency,
        created_at=now,
        created_by=actor,
    )
    db.session.add(book)
    return edition


def put_product(code: str, values: Mapping[str, Any]) -> Product:
    """Add the product of that code, or change the one there is; within the caller's transaction."""
    product = db.session.scalar(select(Product).where(Product.code == code))
    if product is None:
        product = Product(id=new_id(), code=code, currency=CNY, is_on_sale=True)
        db.session.add(product)
    for name, value in values.items():
        setattr(product, name, value)
    return product


def _fee(data: Mapping[str, Any]) -> Money | None:
    return _money(data["hosting_fee"], "hosting_fee") if "hosting_fee" in data else None


def _take_product(table: Mapping[str, Any], place: str) -> None:
    account = _account(table.get("ca", ""), place)
    code = _text(table, "code", place)
    values = {
        "title": str(table.get("title", code)),
        "domain_type": _choice(DomainType, table, "domain_type", place),
        "validation_type": _choice(ValidationType, table, "validation_type", place),
        "brand": _text(table, "brand", place),
        "grade": _choice(Grade, table, "grade", place),
        "price_fen": _money(table.get("price"), f"{place}: price").fen,
        "ca_account_id": account.id,
        "hosting_window_days": table.get("hosting_window_days"),
        "is_on_sale": bool(table.get("on_sale", True)),
    }
    product = put_product(code, values)
    if "fallbacks" in table:
        _put_fallbacks(product, account, table["fallbacks"], f"{place}: fallbacks")


def _account(name: object, place: str) -> CaAccount:
    account = db.session.scalar(select(CaAccount).where(CaAccount.name == str(name)))
    if account is None:
        raise _wrong(place, f"there is no CA account named {name!r} (portal ca add)")
    return account


def _put_fallbacks(product: Product, own: CaAccount, names: object, place: str) -> None:
    """The accounts that issue the product while its own is away, in this order; an empty list takes them away."""
    if not isinstance(names, list):
        raise _wrong(place, "this is a list of names of CA accounts")
    accounts = [_account(name, place) for name in names]
    if len({own.id, *(one.id for one in accounts)}) < len(accounts) + 1:
        raise _wrong(place, "an account is named twice")
    db.session.flush()
    db.session.execute(delete(ProductFallback).where(ProductFallback.product_id == product.id))
    for position, account in enumerate(accounts, 1):
        db.session.add(ProductFallback(product_id=product.id, position=position, ca_account_id=account.id))


def _text(table: Mapping[str, Any], name: str, place: str) -> str:
    value = str(table.get(name, "")).strip()
    if not value:
        raise _wrong(place, f"{name} is missing")
    return value


def _choice(kind: type[Choice], table: Mapping[str, Any], name: str, place: str) -> Choice:
    try:
        return kind(str(table.get(name, "")))
    except ValueError:
        raise _wrong(place, f"{name} must be one of {', '.join(kind)}") from None


def _money(value: object, place: str) -> Money:
    try:
        return Money.from_decimal(str(value))
    except ValueError:
        raise _wrong(place, f"{value!r} is not an amount in yuan such as 199.00") from None


def _wrong(place: str, problem: str) -> DomainError:
    return DomainError("catalogue_wrong", place=place, problem=problem)

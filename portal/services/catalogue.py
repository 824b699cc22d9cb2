"""What is sold: the price book that holds, the products of a specification, when hosting opens for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.domain.errors import DomainError
from portal.domain.money import Money
from portal.domain.pricing import Line, quote_existing
from portal.domain.spec import Spec
from portal.extensions import db
from portal.models.catalogue import PriceBook, Product
from portal.models.certificate import Certificate
from portal.models.hosting import Renewal
from portal.services.operations import settings


def newest_price_book() -> PriceBook:
    """The edition that prices are taken from now. Raises DomainError("no_price_book")."""
    book = db.session.scalar(select(PriceBook).order_by(PriceBook.edition.desc()).limit(1))
    if book is None:
        raise DomainError("no_price_book")
    return book


def products_on_sale() -> Sequence[Product]:
    """The whole catalogue, in a fixed order. It is a few dozen rows."""
    query = (
        select(Product)
        .where(Product.is_on_sale)
        .order_by(Product.code)
        .options(joinedload(Product.ca_account))
    )
    return db.session.scalars(query).all()


def choices_for(certificate: Certificate, products: Sequence[Product]) -> tuple[Spec, ...]:
    """The specifications sold that agree with everything the certificate says of its own."""
    known = {
        "domain_type": certificate.domain_type,
        "validation_type": certificate.validation_type,
        "brand": certificate.brand,
        "grade": certificate.grade,
    }
    specs = dict.fromkeys(product.spec for product in products)
    return tuple(spec for spec in specs if _agrees(spec, known))


def _agrees(spec: Spec, known: Mapping[str, str | None]) -> bool:
    return all(value is None or getattr(spec, part) == value for part, value in known.items())


def product_for(certificate: Certificate, products: Sequence[Product]) -> Product:
    """The product that a certificate's renewals are issued as: its specification, and its own CA where there is one.

    Raises DomainError: spec_unconfirmed, spec_not_sold.
    """
    spec = certificate.spec
    if spec is None:
        raise DomainError("spec_unconfirmed")
    same = [product for product in products if product.spec == spec]
    if not same:
        raise DomainError("spec_not_sold")
    account_id = _ca_account_of(certificate) if len(same) > 1 else None
    return next((product for product in same if product.ca_account_id == account_id), same[0])


def _ca_account_of(certificate: Certificate) -> str | None:
    issued_by = select(Renewal.ca_account_id).where(Renewal.successor_id == certificate.id)
    return db.session.scalar(issued_by)


def window_days(product: Product | None) -> int:
    """From how many days before expiry hosting can be turned on; 0 means at any time."""
    own = product.hosting_window_days if product else None
    return settings().hosting_window_days if own is None else own


def quote(product: Product, book: PriceBook) -> tuple[Line, ...]:
    """The lines for hosting one existing certificate."""
    return quote_existing(
        Money(product.price_fen, product.currency), Money(book.hosting_fee_fen, book.currency)
    )

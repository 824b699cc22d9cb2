"""What turning hosting on costs: lines of integer fen, from one hosting fee and the certificate's price."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from portal.domain.money import Money

#: The fee for hosting one certificate for one year that a new price book starts with: 270 CNY, without the
#: certificate itself. What an installation charges is its price book's value, never this constant.
FIRST_HOSTING_FEE = Money(27_000)


class Item(StrEnum):
    CERTIFICATE = "certificate"
    HOSTING = "hosting"


@dataclass(frozen=True)
class Line:
    """One line of a quote: `quantity` years of `item` at `unit` each."""

    item: Item
    unit: Money
    quantity: int

    @property
    def total(self) -> Money:
        return self.unit * self.quantity


def quote_existing(certificate_price: Money, hosting_fee: Money) -> tuple[Line, ...]:
    """An existing certificate: one one-year certificate and one year of hosting (rule 2)."""
    return (Line(Item.CERTIFICATE, certificate_price, 1), Line(Item.HOSTING, hosting_fee, 1))


def quote_new(certificate_price: Money, hosting_fee: Money, years: int = 2) -> tuple[Line, ...]:
    """A new purchase: as many one-year certificates as years, and as many years of hosting (rule 1)."""
    return (Line(Item.CERTIFICATE, certificate_price, years), Line(Item.HOSTING, hosting_fee, years))


def total(lines: tuple[Line, ...]) -> Money:
    """The sum of the lines' totals."""
    result = Money(0, lines[0].total.currency) if lines else Money(0)
    for line in lines:
        result += line.total
    return result

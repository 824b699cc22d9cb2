from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.money import Money
from portal.domain.pricing import FIRST_HOSTING_FEE, Item, Line, quote_existing, quote_new, total

PRICE = Money(19_900)


def test_the_hosting_fee_starts_at_270_yuan():
    assert FIRST_HOSTING_FEE.decimal() == "270.00"


def test_an_existing_certificate_costs_one_certificate_and_one_year_of_hosting():
    lines = quote_existing(PRICE, FIRST_HOSTING_FEE)
    assert lines == (Line(Item.CERTIFICATE, PRICE, 1), Line(Item.HOSTING, FIRST_HOSTING_FEE, 1))
    assert total(lines).decimal() == "469.00"


@pytest.mark.parametrize(
    ("years", "expected"),
    [
        (1,    "469.00"),
        (2,    "938.00"),
        (3,    "1407.00"),
    ],
)  # fmt: skip
def test_a_new_purchase_costs_as_many_certificates_as_years_of_hosting(years, expected):
    assert total(quote_new(PRICE, FIRST_HOSTING_FEE, years)).decimal() == expected


def test_a_new_purchase_is_for_two_years_by_default():
    assert quote_new(PRICE, FIRST_HOSTING_FEE) == quote_new(PRICE, FIRST_HOSTING_FEE, 2)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(1, 3))
def test_no_fen_is_lost_in_a_quote(price, fee, years):
    lines = quote_new(Money(price), Money(fee), years)
    assert total(lines).fen == years * (price + fee) == sum(line.total.fen for line in lines)


def test_the_total_keeps_the_currency():
    assert total(quote_existing(Money(1, "USD"), Money(2, "USD"))) == Money(3, "USD")
    assert total(()) == Money(0)

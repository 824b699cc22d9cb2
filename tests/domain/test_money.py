from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.money import Money

amounts = st.integers(0, 10**9).map(Money)


@pytest.mark.parametrize(
    ("text",      "fen"),
    [
        ("540",    54_000),
        ("540.5",  54_050),
        ("540.05", 54_005),
        ("540.00", 54_000),
        (" 0.01 ", 1),
        ("0",      0),
    ],
)  # fmt: skip
def test_an_amount_is_read_exactly(text, fen):
    assert Money.from_decimal(text) == Money(fen)


@pytest.mark.parametrize(
    "text", ["", ".", ".5", "-1", "+1", "1.005", "1,5", "1e3", "one", "1.x", "NaN", "1.-5", "--"]
)
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="not an amount"):
        Money.from_decimal(text)


@given(amounts)
def test_an_amount_survives_being_written_and_read(amount):
    assert Money.from_decimal(amount.decimal()) == amount


@given(amounts, amounts, st.integers(0, 100))
def test_multiplying_distributes_over_adding(one, other, quantity):
    assert (one + other) * quantity == one * quantity + other * quantity


def test_currencies_do_not_mix():
    with pytest.raises(ValueError, match="cannot add USD to CNY"):
        Money(1) + Money(1, "USD")

"""The catalogue from a file: everything or nothing, and every fault has its place."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import func, select

from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.catalogue import CaAccount, PriceBook, Product, ProductFallback
from portal.services import catalogue_loading
from tests.factories import Factory

GOOD = """
hosting_fee = "270.00"
[[product]]
code = "dv-single"
title = "DV, single"
domain_type = "single"
validation_type = "dv"
brand = "perennial"
grade = "basic"
price = "199.00"
ca = "house"
"""


@pytest.fixture
def account(factory: Factory) -> CaAccount:
    return factory.ca_account("house")


def count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_products_and_the_fee_are_taken_in(account: CaAccount, now: datetime) -> None:
    assert catalogue_loading.load(GOOD, "cli", now) == catalogue_loading.Loaded(1, 1)
    product = db.session.scalars(select(Product)).one()
    assert (product.price_fen, product.ca_account_id) == (19_900, account.id)
    assert db.session.scalars(select(PriceBook)).one().hosting_fee_fen == 27_000


def test_loading_again_changes_the_product_and_opens_no_edition(account: CaAccount, now: datetime) -> None:
    catalogue_loading.load(GOOD, "cli", now)
    catalogue_loading.load(GOOD.replace("199.00", "299.00"), "cli", now)
    assert db.session.scalars(select(Product)).one().price_fen == 29_900
    assert count(PriceBook) == 1


def test_another_fee_is_another_edition(account: CaAccount, now: datetime) -> None:
    catalogue_loading.load(GOOD, "cli", now)
    assert catalogue_loading.load(GOOD.replace("270.00", "300.00"), "cli", now).edition == 2
    assert count(PriceBook) == 2


@pytest.mark.parametrize(
    ("good", "bad", "place"),
    [
        ('"single"\nvalidation', '"double"\nvalidation', "product 1 (dv-single)"),
        ('price = "199.00"', 'price = "1.999"', "product 1 (dv-single): price"),
        ('ca = "house"', 'ca = "nobody"', "product 1 (dv-single)"),
        ('brand = "perennial"', "", "product 1 (dv-single)"),
        ('hosting_fee = "270.00"', 'hosting_fee = "-1"', "hosting_fee"),
        ("[[product]]", "[[product", "file"),
    ],
)
def test_a_fault_names_its_place_and_nothing_is_stored(
    account: CaAccount, now: datetime, good: str, bad: str, place: str
) -> None:
    with pytest.raises(DomainError) as refused:
        catalogue_loading.load(GOOD.replace(good, bad), "cli", now)
    assert (refused.value.code, refused.value.params["place"]) == ("catalogue_wrong", place)
    assert (count(Product), count(PriceBook)) == (0, 0)


def fallbacks() -> list[str]:
    query = select(CaAccount.name).join(ProductFallback, ProductFallback.ca_account_id == CaAccount.id)
    return list(db.session.scalars(query.order_by(ProductFallback.position)))


def test_fallbacks_are_kept_in_their_order_until_others_are_given(
    account: CaAccount, factory: Factory, now: datetime
) -> None:
    for name in ("second", "third"):
        factory.ca_account(name)
    catalogue_loading.load(GOOD + 'fallbacks = ["third", "second"]\n', "cli", now)
    assert fallbacks() == ["third", "second"]
    catalogue_loading.load(GOOD, "cli", now)
    assert fallbacks() == ["third", "second"]
    catalogue_loading.load(GOOD + 'fallbacks = ["second"]\n', "cli", now)
    assert fallbacks() == ["second"]
    catalogue_loading.load(GOOD + "fallbacks = []\n", "cli", now)
    assert fallbacks() == []


@pytest.mark.parametrize("given", ['"second"', '["nobody"]', '["house"]', '["second", "second"]'])
def test_fallbacks_that_make_no_sense_are_refused(
    account: CaAccount, factory: Factory, now: datetime, given: str
) -> None:
    factory.ca_account("second")
    with pytest.raises(DomainError) as refused:
        catalogue_loading.load(f"{GOOD}fallbacks = {given}\n", "cli", now)
    assert refused.value.params["place"] == "product 1 (dv-single): fallbacks"
    assert (count(Product), fallbacks()) == (0, [])

"""Stocking a demonstration; everything can be asked for twice."""

from __future__ import annotations

from datetime import datetime
from itertools import product

import pytest
from flask import Flask

from portal.domain.pricing import FIRST_HOSTING_FEE
from portal.domain.spec import ISSUER_BRANDS, DomainType, Grade, Spec, ValidationType
from portal.extensions import db
from portal.models.account import User
from portal.services import accounts, ca_accounts, catalogue, cloud_accounts, seeding, targets
from portal.services.seeding import Login
from portal.services.targets import NewTarget

LOGIN = Login("customer@example.com", "a password for the demo")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_every_specification_is_sold_by_a_ca_of_its_validation_type(core_app: Flask, now: datetime) -> None:
    counted = seeding.stock(now)
    assert seeding.stock(now) == counted
    sold = catalogue.products_on_sale()
    brands = {brand for _, brand in ISSUER_BRANDS}
    wanted = {
        Spec(domain, validation, brand, grade)
        for domain, validation, brand, grade in product(DomainType, ValidationType, brands, Grade)
    }
    assert {one.spec for one in sold} == wanted
    assert all(one.ca_account.config["policy"] == one.validation_type for one in sold)
    assert all(one.price_fen > 0 and one.hosting_window_days is None for one in sold)
    assert catalogue.newest_price_book().hosting_fee_fen == FIRST_HOSTING_FEE.fen
    assert catalogue.newest_price_book().edition == 1
    assert all(account.account_url for account in ca_accounts.list_all())


def test_a_customer_can_log_in_and_is_found_again(core_app: Flask, now: datetime) -> None:
    assert not seeding.has_people()
    actor = seeding.customer(LOGIN, "Demo Shop", now)
    assert seeding.has_people()
    assert seeding.customer(LOGIN, "Demo Shop", now) == actor
    user, _token = accounts.log_in(
        db.session, LOGIN.email, LOGIN.password, user_agent="test", ip="127.0.0.1", now=now
    )
    assert user.id == actor.id


def test_an_operator_is_made_once(core_app: Flask, now: datetime) -> None:
    for _ in range(2):
        seeding.operator(Login("operator@example.com", LOGIN.password), now)
    assert [user.is_operator for user in db.session.query(User)] == [True]


def test_a_cloud_account_and_its_target_are_made_once(core_app: Flask, now: datetime) -> None:
    actor = seeding.customer(LOGIN, "Demo Shop", now)
    for _ in range(2):
        account = seeding.sandbox_account("http://127.0.0.1:1", "token", actor, now)
        seeding.target(account, NewTarget("cdn", "shop.example.com", "127.0.0.1:2"), actor, now)
    assert len(cloud_accounts.list_accounts(actor.organisation_id)) == 1
    assert [one.domain for one in targets.list_targets(actor.organisation_id)] == ["shop.example.com"]


def test_a_login_does_not_show_its_password() -> None:
    assert LOGIN.password not in repr(LOGIN)

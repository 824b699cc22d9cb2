"""Filling a new installation with what a demonstration needs: CAs, a catalogue, people, a cloud. Safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

from sqlalchemy import func, select

from portal.domain.errors import DomainError
from portal.domain.spec import ISSUER_BRANDS, DomainType, Grade, ValidationType, brand_name
from portal.extensions import db
from portal.models.account import User
from portal.models.catalogue import CaAccount, Product
from portal.models.deployment import CloudAccount
from portal.services import (
    accounts,
    ca_accounts,
    catalogue_loading,
    cloud_accounts,
    operators,
    targets,
    tokens,
)
from portal.services.acting import Actor
from portal.services.targets import NewTarget

ACTOR = "demo"
IP_ADDRESS = "127.0.0.1"

#: Fen for one year of the cheapest certificate of each kind, and what the other parts multiply it by (percent).
BASE_PRICES: Mapping[ValidationType, int] = {
    ValidationType.DV: 19_900,
    ValidationType.OV: 99_900,
    ValidationType.EV: 299_900,
}
DOMAIN_PERCENT: Mapping[DomainType, int] = {
    DomainType.SINGLE: 100,
    DomainType.MULTI: 250,
    DomainType.WILDCARD: 500,
}
GRADE_PERCENT: Mapping[Grade, int] = {Grade.BASIC: 100, Grade.PRO: 150, Grade.ADVANCED: 220}


@dataclass(frozen=True)
class Login:
    """An address and its password."""

    email: str
    password: str = field(repr=False)


def has_people() -> bool:
    """Whether anybody has an account here."""
    return db.session.scalar(select(User.id).limit(1)) is not None


def stock(now: datetime) -> int:
    """A private CA for each validation type and a product for every specification; returns how many products."""
    authorities = {kind: _authority(kind, now) for kind in ValidationType}
    specs = list(product(_brands(), ValidationType, DomainType, Grade))
    if db.session.scalar(select(func.count()).select_from(Product)) != len(specs):
        for brand, validation_type, domain_type, grade in specs:
            _put(brand, validation_type, domain_type, grade, authorities[validation_type])
    catalogue_loading.set_hosting_fee(None, ACTOR, now)
    db.session.commit()
    return len(specs)


def _brands() -> tuple[str, ...]:
    return tuple(dict.fromkeys(brand for _, brand in ISSUER_BRANDS))


def _authority(kind: ValidationType, now: datetime) -> CaAccount:
    name = f"Private CA {kind.upper()}"
    config = {"subject": f"Perennial Private CA {kind.upper()}", "validity_days": "199", "policy": kind.value}
    account = ca_accounts.find(name) or ca_accounts.add(name, "private", config, {}, ACTOR, now)
    ca_accounts.ensure_registered(account)
    return account


def _put(
    brand: str, validation_type: ValidationType, domain_type: DomainType, grade: Grade, authority: CaAccount
) -> None:
    percent = DOMAIN_PERCENT[domain_type] * GRADE_PERCENT[grade]
    values = {
        "title": f"{brand_name(brand)} {validation_type.upper()} {domain_type} {grade}",
        "brand": brand,
        "validation_type": validation_type,
        "domain_type": domain_type,
        "grade": grade,
        "price_fen": BASE_PRICES[validation_type] * percent // 10_000,
        "ca_account_id": authority.id,
        "hosting_window_days": None,
    }
    catalogue_loading.put_product(f"{brand}-{validation_type}-{domain_type}-{grade}", values)


def customer(login: Login, organisation: str, now: datetime) -> Actor:
    """Somebody who signed up and confirmed the address; found again by it."""
    user = accounts.find_user(db.session, login.email)
    if user is None:
        accounts.sign_up(
            db.session,
            email=login.email,
            password=login.password,
            organisation_name=organisation,
            locale="zh_Hans",
            timezone="Asia/Shanghai",
            now=now,
            ip=IP_ADDRESS,
        )
        user = _known(login)
        accounts.confirm_email(db.session, tokens.confirmation_token(user), now, IP_ADDRESS)
    return Actor(user.id, user.memberships[0].organisation_id, IP_ADDRESS)


def operator(login: Login, now: datetime) -> None:
    """An operator; one that is there stays as it is."""
    try:
        operators.create(db.session, login.email, login.password, now, actor=ACTOR, ip=IP_ADDRESS)
        operators.set_up_file().unlink(missing_ok=True)
    except DomainError as error:
        if error.code != "operator_exists":
            raise


def _known(login: Login) -> User:
    user = accounts.find_user(db.session, login.email)
    assert user is not None
    return user


def sandbox_account(url: str, token: str, actor: Actor, now: datetime) -> CloudAccount:
    """The customer's account at the sandbox cloud of that address."""
    name = f"Sandbox cloud {url.partition('//')[2]}"
    try:
        return cloud_accounts.get_account(actor.organisation_id, name)
    except DomainError:
        return cloud_accounts.add_account(name, "sandbox", {"url": url, "token": token}, actor, now)


def target(account: CloudAccount, new: NewTarget, actor: Actor, now: datetime) -> None:
    """A domain of that account; one that is there stays as it is."""
    try:
        targets.add_target(account, new, actor, now)
    except DomainError as error:
        if error.code != "target_exists":
            raise

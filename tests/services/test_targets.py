"""Targets: domains as they are stored, and live addresses that are looked at before they are kept."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.models.deployment import CloudAccount
from portal.models.history import AuditEntry
from portal.services import targets
from portal.services.acting import Actor
from portal.services.targets import NewTarget
from tests.factories import Cast, Factory

DOMAINS = [
    ("shop.example.com", "shop.example.com"),
    (" Shop.Example.COM. ", "shop.example.com"),
    ("*.example.com", "*.example.com"),
    (".example.com", "*.example.com"),
    ("intranet", "intranet"),
    ("商店.example.com", "xn--czrs0t.example.com"),
]


@pytest.mark.parametrize(("text", "stored"), DOMAINS)
def test_domains_are_stored_in_one_way(text: str, stored: str) -> None:
    assert targets.normal_domain(text) == stored


@pytest.mark.parametrize(
    "text", ["", "*.localhost", "*.", "a..b", "-a.example.com", "a b.example.com", "x" * 300]
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(DomainError) as caught:
        targets.normal_domain(text)
    assert caught.value.code == "domain_invalid"


@pytest.fixture
def actor(cast: Cast) -> Actor:
    return Actor(cast.alice.id, cast.organisation.id)


@pytest.fixture
def account(factory: Factory, cast: Cast) -> CloudAccount:
    return factory.cloud_account(cast.organisation)


def test_a_target_is_stored_and_listed_in_its_organisation_alone(
    session: scoped_session[Session], account: CloudAccount, actor: Actor, cast: Cast, now: datetime
) -> None:
    new = NewTarget("cdn", "shop.example.com", "127.0.0.1:8443")
    added = targets.add_target(account, new, actor, now)
    assert (added.organisation_id, added.live_host) == (cast.organisation.id, None)
    assert list(targets.list_targets(cast.organisation.id)) == [added]
    assert list(targets.list_targets(cast.other_organisation.id)) == []
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.subject_id) == ("target_added", added.id)


REFUSALS = [
    (NewTarget("toaster", "shop.example.com"), "unknown_cloud_product"),
    (NewTarget("cdn", "*.localhost"), "domain_invalid"),
    (NewTarget("cdn", "*.example.com"), "live_host_missing"),
    (NewTarget("cdn", "*.example.com", live_host="www.example.org"), "live_host_not_covered"),
    (NewTarget("cdn", "*.example.com", live_host="a.b.example.com"), "live_host_not_covered"),
]


@pytest.mark.parametrize(("new", "code"), REFUSALS)
def test_wrong_targets_are_refused(
    account: CloudAccount, actor: Actor, now: datetime, new: NewTarget, code: str
) -> None:
    with pytest.raises(DomainError) as caught:
        targets.add_target(account, new, actor, now)
    assert caught.value.code == code
    assert list(targets.list_targets(actor.organisation_id)) == []


def test_a_wildcard_is_looked_at_by_a_name_under_it(
    account: CloudAccount, actor: Actor, now: datetime
) -> None:
    new = NewTarget("cdn", ".example.com", live_host="www.example.com")
    added = targets.add_target(account, new, actor, now)
    assert (added.domain, added.live_host) == ("*.example.com", "www.example.com")


def test_a_target_exists_once(account: CloudAccount, actor: Actor, now: datetime) -> None:
    targets.add_target(account, NewTarget("cdn", "shop.example.com"), actor, now)
    with pytest.raises(DomainError) as caught:
        targets.add_target(account, NewTarget("cdn", "SHOP.example.com"), actor, now)
    assert caught.value.code == "target_exists"


@pytest.mark.parametrize("address", ["10.0.0.1:443", "169.254.169.254:80", "no-port"])
def test_an_address_inside_is_refused_when_it_is_saved(
    account: CloudAccount, actor: Actor, now: datetime, address: str
) -> None:
    with pytest.raises(AdapterError) as caught:
        targets.add_target(account, NewTarget("cdn", "shop.example.com", address), actor, now)
    assert caught.value.code == "live_address_forbidden"
    assert list(targets.list_targets(actor.organisation_id)) == []

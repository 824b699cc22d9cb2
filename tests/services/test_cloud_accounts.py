"""Cloud accounts: sealed as they are added, opened to connect, never another organisation's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.cloud import errors
from portal.adapters.errors import AdapterError
from portal.adapters.key_vault import VaultError
from portal.domain.certificate import sha256_of
from portal.domain.errors import DomainError
from portal.models.deployment import CloudAccount
from portal.models.history import AuditEntry
from portal.services import cloud_accounts
from portal.services.acting import Actor
from tests import pki
from tests.adapters.cloud.stands import material_of
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer
from tests.cloud_faults import Fault
from tests.factories import Cast, Factory

GIVEN = {"access_key_id": ACCESS_KEY_ID, "access_key_secret": ACCESS_KEY_SECRET}


@pytest.fixture(scope="module")
def shared_server() -> Iterator[AliyunServer]:
    with AliyunServer() as started:
        started.add_domain("shop.example.com")
        yield started


@pytest.fixture
def server(shared_server: AliyunServer) -> AliyunServer:
    shared_server.faults.clear()
    return shared_server


@pytest.fixture
def overrides(server: AliyunServer) -> dict[str, Any]:
    return {"aliyun_endpoints": server.endpoints, "step_timeout": 3.0}


@pytest.fixture
def actor(cast: Cast) -> Actor:
    return Actor(cast.alice.id, cast.organisation.id)


def test_an_account_is_stored_with_its_secret_sealed(
    session: scoped_session[Session], actor: Actor, now: datetime
) -> None:
    account = cloud_accounts.add_account("main", "aliyun", GIVEN, actor, now)
    assert account.config == {"access_key_id": ACCESS_KEY_ID, "site": "cn-hangzhou"}
    assert account.secrets is not None and ACCESS_KEY_SECRET.encode() not in account.secrets
    opened = cloud_accounts.cloud_settings(account)
    assert opened.secrets == {"access_key_secret": ACCESS_KEY_SECRET}
    assert ACCESS_KEY_SECRET not in repr(opened)
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.actor, entry.action, entry.subject_id) == (actor.id, "cloud_account_added", account.id)
    assert ACCESS_KEY_SECRET not in str(entry.params)


REFUSALS = [
    ("nowhere", GIVEN, "unknown_cloud_provider"),
    ("aliyun", {}, "field_missing"),
    ("aliyun", {**GIVEN, "access_key_secret": "  "}, "field_missing"),
    ("aliyun", {**GIVEN, "colour": "red"}, "unknown_field"),
    ("aliyun", {**GIVEN, "site": "mars"}, "field_wrong"),
]


@pytest.mark.parametrize(("provider", "given", "code"), REFUSALS)
def test_wrong_settings_are_refused_and_nothing_is_stored(
    session: scoped_session[Session], actor: Actor, now: datetime, provider: str, given: Any, code: str
) -> None:
    with pytest.raises(DomainError) as caught:
        cloud_accounts.add_account("main", provider, given, actor, now)
    assert caught.value.code == code
    assert session.scalar(select(func.count()).select_from(CloudAccount)) == 0


def test_a_name_is_taken_once_in_an_organisation_and_free_in_another(
    actor: Actor, cast: Cast, now: datetime
) -> None:
    cloud_accounts.add_account("main", "aliyun", GIVEN, actor, now)
    with pytest.raises(DomainError) as caught:
        cloud_accounts.add_account("main", "aliyun", GIVEN, actor, now)
    assert caught.value.code == "cloud_account_name_taken"
    other = Actor(cast.charlie.id, cast.other_organisation.id)
    cloud_accounts.add_account("main", "aliyun", GIVEN, other, now)
    assert len(cloud_accounts.list_accounts(actor.organisation_id)) == 1


def test_another_organisations_account_is_not_found(actor: Actor, cast: Cast, now: datetime) -> None:
    account = cloud_accounts.add_account("main", "aliyun", GIVEN, actor, now)
    assert cloud_accounts.get_account(cast.organisation.id, "main") is account
    assert cloud_accounts.get_account(cast.organisation.id, account.id) is account
    for name in ("main", account.id):
        with pytest.raises(DomainError) as caught:
            cloud_accounts.get_account(cast.other_organisation.id, name)
        assert caught.value.code == "cloud_account_not_found"


def test_an_envelope_copied_to_another_account_does_not_open(actor: Actor, now: datetime) -> None:
    one = cloud_accounts.add_account("one", "aliyun", GIVEN, actor, now)
    two = cloud_accounts.add_account("two", "aliyun", GIVEN, actor, now)
    two.secrets = one.secrets
    with pytest.raises(VaultError):
        cloud_accounts.connect(two, "cdn")


def test_the_settings_reach_the_adapter(actor: Actor, server: AliyunServer, now: datetime) -> None:
    account = cloud_accounts.add_account("main", "aliyun", GIVEN, actor, now)
    adapter = cloud_accounts.connect(account, "cdn")
    made = pki.make_certificate()
    adapter.bind("shop.example.com", adapter.upload(material_of(made)))
    assert server.bound_sha256("shop.example.com") == sha256_of(made.leaf)
    assert cloud_accounts.list_domains(account, "cdn") == ("shop.example.com",)
    settings = cloud_accounts.cloud_settings(account)
    assert (settings.timeout, settings.allowed_networks) == (3.0, ("127.0.0.0/8",))


def test_a_product_that_a_provider_lacks_is_refused(actor: Actor, now: datetime) -> None:
    account = cloud_accounts.add_account("main", "aliyun", GIVEN, actor, now)
    with pytest.raises(DomainError) as caught:
        cloud_accounts.connect(account, "toaster")
    assert caught.value.code == "unknown_cloud_product"


def test_what_a_check_finds_is_recorded(
    session: scoped_session[Session], actor: Actor, server: AliyunServer, now: datetime
) -> None:
    account = cloud_accounts.add_account("main", "aliyun", GIVEN, actor, now)
    server.faults.add("DescribeUserDomains", Fault.FORBIDDEN)
    with pytest.raises(AdapterError) as caught:
        cloud_accounts.check_account(account, now)
    assert caught.value.code == errors.PERMISSION
    session.expire_all()
    assert (account.checked_at, account.error_code) == (now, errors.PERMISSION)
    cloud_accounts.check_account(account, now + timedelta(hours=1))
    session.expire_all()
    assert (account.checked_at, account.error_code) == (now + timedelta(hours=1), None)


def test_the_only_organisation_needs_no_name(factory: Factory) -> None:
    first = factory.organisation("First")
    assert cloud_accounts.organisation_named("") is first
    second = factory.organisation("Second")
    assert cloud_accounts.organisation_named("Second") is second
    assert cloud_accounts.organisation_named(first.id) is first
    for name, code in (("", "organisation_ambiguous"), ("Third", "organisation_not_found")):
        with pytest.raises(DomainError) as caught:
            cloud_accounts.organisation_named(name)
        assert caught.value.code == code

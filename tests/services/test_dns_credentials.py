"""Customers' DNS credentials: sealed, their own, tried out, and kept while they are needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from portal.adapters.errors import AdapterError
from portal.adapters.key_vault import KeyVault, Place, VaultError
from portal.domain.errors import DomainError
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.history import AuditEntry
from portal.models.validation import DnsCredential
from portal.services import dns_credentials, domain_validations, validating
from portal.services.acting import Actor
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer
from tests.dns_server import dns_server
from tests.factories import Cast, Factory
from tests.services.validations import authorization, order_of, renewal_of

NAME = "shop.example.com"
KEY = {"access_key_id": ACCESS_KEY_ID, "access_key_secret": ACCESS_KEY_SECRET}


@pytest.fixture(scope="module")
def running() -> Iterator[AliyunServer]:
    with AliyunServer() as server:
        server.dns.zones.append("example.com")
        yield server


@pytest.fixture
def cloud(running: AliyunServer) -> AliyunServer:
    running.faults.clear()
    running.dns.records.clear()
    return running


@pytest.fixture
def overrides(running: AliyunServer) -> dict[str, Any]:
    return {"aliyun_endpoints": running.endpoints, "step_timeout": 2.0}


@pytest.fixture
def stranger(cast: Cast) -> Actor:
    return Actor(cast.charlie.id, cast.other_organisation.id)


def add(actor: Actor, now: datetime, name: str = "main", given: Mapping[str, str] = KEY) -> DnsCredential:
    return dns_credentials.add(name, "aliyun", given, actor, now)


def code_of(call: Any) -> str:
    with pytest.raises((DomainError, AdapterError)) as caught:
        call()
    return str(caught.value.code)


def audited() -> list[tuple[str, str | None]]:
    return [(one.action, one.organisation_id) for one in db.session.scalars(select(AuditEntry))]


def test_secrets_are_sealed_to_their_row_and_audited_without_them(
    cloud: AliyunServer, actor: Actor, vault: KeyVault, now: datetime
) -> None:
    row = add(actor, now)
    assert row.secrets is not None
    assert ACCESS_KEY_SECRET not in json.dumps(row.config)
    place = Place(actor.organisation_id, "dns_credentials", row.id, "secrets")
    assert json.loads(vault.open(row.secrets, place)) == {"access_key_secret": ACCESS_KEY_SECRET}
    with pytest.raises(VaultError):
        vault.open(row.secrets, Place("another", "dns_credentials", row.id, "secrets"))
    assert audited() == [("dns_credential_added", actor.organisation_id)]
    entry = db.session.scalars(select(AuditEntry)).one()
    assert ACCESS_KEY_SECRET not in json.dumps(entry.params)


def test_names_are_the_organisations_own(
    cloud: AliyunServer, actor: Actor, stranger: Actor, now: datetime
) -> None:
    mine, theirs = add(actor, now), add(stranger, now)
    assert [row.id for row in dns_credentials.list_for(actor.organisation_id)] == [mine.id]
    assert dns_credentials.get(actor.organisation_id, "main").id == mine.id
    assert (
        code_of(lambda: dns_credentials.get(actor.organisation_id, theirs.id)) == "dns_credential_not_found"
    )
    assert code_of(lambda: dns_credentials.remove(theirs.id, actor, now)) == "dns_credential_not_found"
    assert code_of(lambda: add(actor, now)) == "dns_credential_name_taken"


@pytest.mark.parametrize(
    ("kind", "given", "code"),
    [
        ("sandbox", {"url": "http://127.0.0.1:1", "server": "127.0.0.1:1"}, "unknown_dns_provider"),
        ("unheard-of", {}, "unknown_dns_provider"),
        ("aliyun", {"access_key_id": "x"}, "field_missing"),
        ("aliyun", {**KEY, "endpoint": "http://elsewhere.example"}, "unknown_field"),
        ("rfc2136", {"server": "169.254.169.254:53", "zone": "example.com"}, "dns_address_forbidden"),
        ("rfc2136", {"server": "10.0.0.1", "zone": "example.com"}, "dns_address_forbidden"),
        ("rfc2136", {"server": "ns.example.com", "zone": "example.com"}, "dns_settings"),
        ("rfc2136", {"server": "203.0.113.1:x", "zone": "example.com"}, "dns_settings"),
    ],
)
def test_what_cannot_be_right_is_refused(
    actor: Actor, now: datetime, kind: str, given: dict[str, str], code: str
) -> None:
    assert code_of(lambda: dns_credentials.add("wrong", kind, given, actor, now)) == code
    assert dns_credentials.list_for(actor.organisation_id) == []


def test_an_address_is_looked_at_again_when_it_is_used(actor: Actor, now: datetime) -> None:
    given = {"server": "127.0.0.1:53", "zone": "example.com"}
    row = dns_credentials.add("local", "rfc2136", given, actor, now)
    row.config = {**row.config, "server": "10.0.0.1:53"}
    db.session.commit()
    assert code_of(lambda: dns_credentials.provider(row)) == "dns_address_forbidden"


def test_a_check_is_recorded(cloud: AliyunServer, actor: Actor, now: datetime) -> None:
    row = add(actor, now)
    dns_credentials.check(row, now)
    assert (row.checked_at, row.error_code) == (now, None)
    wrong = add(actor, now, "wrong", {**KEY, "access_key_secret": "not-the-secret"})
    assert code_of(lambda: dns_credentials.check(wrong, now)) == "dns_credentials"
    db.session.expire_all()
    assert (wrong.checked_at, wrong.error_code) == (now, "dns_credentials")


def test_credentials_that_are_needed_are_not_removed(
    factory: Factory, cloud: AliyunServer, cast: Cast, actor: Actor, now: datetime
) -> None:
    row = add(actor, now)
    use = (actor.organisation_id, NAME)
    domain_validations.set_method(*use, ValidationMethod.CREDENTIALS, actor, now, row.id)
    assert code_of(lambda: dns_credentials.remove(row.id, actor, now)) == "dns_credential_in_use"
    domain_validations.set_method(*use, ValidationMethod.OPERATOR, actor, now)
    dns_credentials.remove(row.id, actor, now)
    assert dns_credentials.list_for(actor.organisation_id) == []
    assert audited()[-1] == ("dns_credential_removed", actor.organisation_id)


def test_credentials_stay_until_their_records_are_gone(
    factory: Factory, cloud: AliyunServer, cast: Cast, actor: Actor, now: datetime
) -> None:
    row = add(actor, now)
    use = (actor.organisation_id, NAME)
    domain_validations.set_method(*use, ValidationMethod.CREDENTIALS, actor, now, row.id)
    renewal, order = renewal_of(factory, cast.organisation, NAME), order_of(authorization(NAME))
    with dns_server("example.com") as resolver:
        account = factory.ca_account(config={"resolver": resolver.address})
        validating.present(renewal, account, order, now)
    assert cloud.dns.txt(f"_acme-challenge.{NAME}") == [order.authorizations[0].challenges[0].dns_value]
    domain_validations.set_method(*use, ValidationMethod.OPERATOR, actor, now)
    assert code_of(lambda: dns_credentials.remove(row.id, actor, now)) == "dns_credential_in_use"
    validating.clear(renewal, account, order)
    assert cloud.dns.records == []
    dns_credentials.remove(row.id, actor, now)

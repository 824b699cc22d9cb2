"""What the tests of validation share: BIND with the service's zone and a customer's, and orders as a CA shows them."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import pytest

from portal.adapters.ca.base import Authorization, CaOrder, CaOrderState, Challenge, ChallengeKind
from portal.adapters.errors import AdapterError
from portal.domain.validation import ValidationMethod
from portal.models.account import Organisation
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.models.validation import DelegationZone, DnsCredential, DomainValidation
from portal.services import delegation, dns_credentials, domain_validations
from portal.services.acting import Actor
from tests.bind import Bind
from tests.factories import Factory

SERVICE_ZONE, CUSTOMER_ZONE = "svc.test", "customer.test"
ZONES = (SERVICE_ZONE, CUSTOMER_ZONE)
NAME = f"shop.{CUSTOMER_ZONE}"
RECORD = f"_acme-challenge.{NAME}"


def options_of(named: Bind, zone: str) -> dict[str, str]:
    """All fields of the RFC 2136 provider for a zone."""
    return {**named.options(zone), **named.secrets}


def service_zone(named: Bind, now: datetime) -> DelegationZone:
    """The service's zone, tried out."""
    delegation.set_up(SERVICE_ZONE, "rfc2136", options_of(named, SERVICE_ZONE), named.address, "cli", now)
    return delegation.probe(now, 5)


def credential(named: Bind, actor: Actor, now: datetime, name: str = "mine") -> DnsCredential:
    """A customer's credentials for their zone."""
    return dns_credentials.add(name, "rfc2136", options_of(named, CUSTOMER_ZONE), actor, now)


def delegate(named: Bind, row: DomainValidation) -> str:
    """What the customer does once: the CNAME. Returns where it leads."""
    target = domain_validations.delegation_target(row)
    assert target is not None
    named.set(CUSTOMER_ZONE, f"_acme-challenge.{row.name}", "CNAME", f"{target}.")
    return target


def operators_account(
    factory: Factory, named: Bind, zone: str = CUSTOMER_ZONE, **config: object
) -> CaAccount:
    """An ACME account whose records the operator lets be written to a zone."""
    dns = {"kind": "rfc2136", "config": named.options(zone)}
    settings = {"directory_url": "https://ca.test/dir", "resolver": named.address, "dns": dns, **config}
    secrets = {f"dns.{name}": value for name, value in named.secrets.items()}
    return factory.ca_account(kind="acme", config=settings, secrets=secrets)


def renewal_of(factory: Factory, organisation: Organisation, *names: str) -> Renewal:
    return factory.renewal(factory.hosting(factory.certificate(organisation, names=names)))


def authorization(
    name: str, *, wildcard: bool = False, state: str = "pending", salt: str = ""
) -> Authorization:
    """One with a dns-01 and an http-01 challenge; `salt` tells those of different orders apart."""
    seed = hashlib.sha256(f"{name} {wildcard} {salt}".encode()).hexdigest()
    both = tuple(
        Challenge(
            kind, f"https://ca.test/{kind}/{seed}", f"{kind}-{seed}", f"{seed}.key", f"value-{seed[:20]}"
        )
        for kind in (ChallengeKind.DNS_01, ChallengeKind.HTTP_01)
        if not (wildcard and kind is ChallengeKind.HTTP_01)
    )
    return Authorization(name, f"https://ca.test/authz/{seed}", state, wildcard, both)


def order_of(*authorizations: Authorization) -> CaOrder:
    return CaOrder("https://ca.test/order/1", CaOrderState.PENDING, authorizations)


def value_of(one: Authorization) -> str:
    return one.challenges[0].dns_value


def use(method: ValidationMethod, named: Bind, actor: Actor, now: datetime, name: str = NAME) -> str:
    """Have a name proved by a method, its customer's part done; returns where the record will be."""
    if method is ValidationMethod.DELEGATION:
        if delegation.find_verified() is None:
            service_zone(named, now)
        row = domain_validations.set_method(actor.organisation_id, name, method, actor, now)
        return delegate(named, row)
    chosen = credential(named, actor, now).id if method is ValidationMethod.CREDENTIALS else None
    domain_validations.set_method(actor.organisation_id, name, method, actor, now, chosen)
    return f"_acme-challenge.{name}"


def code_of(call: Any) -> tuple[str, bool]:
    with pytest.raises(AdapterError) as caught:
        call()
    return caught.value.code, caught.value.permanent

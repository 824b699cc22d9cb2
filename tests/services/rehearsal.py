"""A customer's zones in BIND, and rehearsals of names in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from portal.domain.validation import NameReport, ValidationMethod
from portal.extensions import db
from portal.models.account import Organisation
from portal.models.catalogue import CaAccount
from portal.models.types import new_id
from portal.models.validation import DelegationZone, DnsCredential, DomainValidation
from portal.services import preflight
from tests.dns_server import DnsServer
from tests.factories import Factory
from tests.signed_zones import SignedZones, signed_zones

ZONE = "validation.test"
SHOP = "shop.customer.test"
CA = "ca.example"
ACCOUNT_URL = "https://ca.example/account/1"

CUSTOMER = [
    "shop A 192.0.2.1",
    f"_acme-challenge.shop CNAME right.{ZONE}.",
    f"_acme-challenge.away CNAME elsewhere.{ZONE}.",
    "_acme-challenge.circle CNAME _acme-challenge.circle2",
    "_acme-challenge.circle2 CNAME _acme-challenge.circle",
    '_acme-challenge.records TXT "old"',
    'closed CAA 0 issue ";"',
    f'pinned CAA 0 issue "{CA}; accounturi={ACCOUNT_URL}; validationmethods=dns-01"',
    'others CAA 0 issue "other.example"',
    f'wild CAA 0 issue "{CA}"',
    'wild CAA 0 issuewild ";"',
    'odd CAA 128 tbs "x"',
    "_acme-challenge.far CNAME spoilt.broken.test.",
]
BROKEN = [
    "@ A 192.0.2.1",
    f'@ CAA 0 issue "{CA}"',
    f"_acme-challenge CNAME right.{ZONE}.",
    'spoilt TXT "x"',
]


@contextmanager
def customer_zones() -> Iterator[SignedZones]:
    """customer.test, signed; broken.test, signed wrongly; the service's own zone, not signed."""
    with signed_zones({ZONE: []}, {"customer.test": CUSTOMER}, {"broken.test": BROKEN}) as running:
        yield running


class Rehearsal:
    """Names of one organisation, each with the way in which it is proved, and an account at a CA that is away but
    whose name in CAA records the settings know.
    """

    def __init__(self, factory: Factory, organisation: Organisation, resolver: str) -> None:
        self.factory, self.organisation, self.now = factory, organisation, factory.now
        config = {
            "directory_url": "https://127.0.0.1:9/directory",
            "resolver": resolver,
            "caa_identities": CA,
        }
        self.account = factory.ca_account(kind="acme", config=config)

    def set_account(self, url: str | None = None, **config: Any) -> None:
        account = db.session.get_one(CaAccount, self.account.id)
        account.account_url = url
        account.config = {**account.config, **config}
        db.session.commit()
        self.account = account

    def add_zone(self, *, is_verified: bool = True) -> DelegationZone:
        """The service's own zone."""
        verified_at = self.now if is_verified else None
        row = DelegationZone(
            id=new_id(), zone=ZONE, kind="rfc2136", config={}, verified_at=verified_at, created_at=self.now
        )
        return self.factory.add(row)

    def prove(
        self, name: str, method: ValidationMethod, label: str | None = None, credential: str | None = None
    ) -> DomainValidation:
        row = DomainValidation(
            id=new_id(),
            organisation_id=self.organisation.id,
            name=name,
            method=method,
            delegation_label=label or new_id(),
            dns_credential_id=credential,
            created_at=self.now,
        )
        return self.factory.add(row)

    def delegate_shop(self) -> None:
        """SHOP is delegated rightly."""
        self.add_zone()
        self.prove(SHOP, ValidationMethod.DELEGATION, "right")

    def by_credentials(self, server: DnsServer, name: str) -> None:
        """Prove `name` with credentials at that server."""
        config = {"server": server.address, "zone": server.zone, "key_algorithm": "hmac-sha256"}
        row = DnsCredential(
            id=new_id(),
            organisation_id=self.organisation.id,
            name=name,
            kind="rfc2136",
            config=config,
            created_at=self.now,
        )
        self.factory.add(row)
        self.prove(name.removeprefix("*."), ValidationMethod.CREDENTIALS, credential=row.id)

    def run(self, *names: str) -> tuple[NameReport, ...]:
        return preflight.rehearse(self.organisation.id, names, self.account, self.now)

    def worst(self, name: str) -> str | None:
        (report,) = self.run(name)
        return report.worst.code if report.worst else None


def codes(report: NameReport) -> list[str]:
    return [finding.code for finding in report.findings]


def reason(reports: tuple[NameReport, ...]) -> tuple[str, bool, str]:
    """Why nothing should be asked: code, whether it is permanent, the name."""
    error = preflight.stop_reason(reports)
    assert error is not None
    return error.code, error.permanent, str(error.params["name"])


def stored(name: str) -> tuple[str | None, str | None, datetime | None]:
    """Code and severity of a name's last rehearsal, and when it was."""
    db.session.expire_all()
    row = db.session.query(DomainValidation).filter_by(name=name).one()
    return row.result_code, row.result_severity, row.checked_at


class Site:
    """The customer's web server, for every name: it redirects challenges to the portal, until told otherwise."""

    def __init__(self, portal: str) -> None:
        self.portal = portal
        self.body: str | None = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        moved = Response("", 302, headers={"Location": self.portal + request.path})
        return (moved if self.body is None else Response(self.body))(environ, start_response)

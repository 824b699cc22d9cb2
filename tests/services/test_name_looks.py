"""Looking at names as a CA would: CAA, DNSSEC and credentials, in real zones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import dns.rcode
import pytest

from portal.domain.validation import ValidationMethod
from portal.services import preflight
from tests.dns_server import DnsServer, dns_server
from tests.services.rehearsal import ACCOUNT_URL, SHOP, Rehearsal, codes, reason, stored
from tests.signed_zones import SignedZones

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def server() -> Iterator[DnsServer]:
    """A server that takes updates of customer.test from anyone."""
    with dns_server("customer.test") as running:
        yield running


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("closed.customer.test", "caa_forbids"),
        ("sub.closed.customer.test", "caa_forbids"),
        ("others.customer.test", "caa_forbids"),
        ("odd.customer.test", "caa_critical_unknown"),
        ("*.wild.customer.test", "caa_forbids"),
        ("wild.customer.test", None),
    ],
)
def test_caa_is_read_for_the_account_s_ca(
    rehearsal: Rehearsal, server: DnsServer, name: str, code: str | None
) -> None:
    rehearsal.by_credentials(server, name)
    assert rehearsal.worst(name) == code


def test_caa_may_be_bound_to_the_account(rehearsal: Rehearsal, server: DnsServer) -> None:
    name = "pinned.customer.test"
    rehearsal.by_credentials(server, name)
    assert rehearsal.worst(name) == "caa_account_unknown"
    for url, code in ((ACCOUNT_URL, None), ("https://ca.example/account/2", "caa_other_account")):
        rehearsal.set_account(url)
        assert rehearsal.worst(name) == code


def test_a_ca_whose_names_nobody_knows_is_a_warning_and_stops_nothing(
    rehearsal: Rehearsal, server: DnsServer, now: datetime
) -> None:
    rehearsal.set_account(caa_identities="")
    rehearsal.by_credentials(server, "others.customer.test")
    reports = rehearsal.run("others.customer.test")
    assert preflight.stop_reason(reports) is None
    assert stored("others.customer.test") == ("caa_identities_unknown", "warning", now)


def test_broken_signatures_block(rehearsal: Rehearsal, now: datetime) -> None:
    rehearsal.add_zone()
    rehearsal.prove("broken.test", ValidationMethod.DELEGATION, "right")
    (report,) = rehearsal.run("broken.test")
    assert codes(report) == ["dnssec_bogus"]
    assert stored("broken.test") == ("dnssec_bogus", "blocking", now)


def test_a_broken_zone_at_the_end_of_the_cnames_blocks_too(rehearsal: Rehearsal, server: DnsServer) -> None:
    rehearsal.by_credentials(server, "far.customer.test")
    assert codes(rehearsal.run("far.customer.test")[0])[-1] == "dnssec_bogus"


def test_a_resolver_that_does_not_validate_stops_nothing(rehearsal: Rehearsal, signed: SignedZones) -> None:
    rehearsal.delegate_shop()
    rehearsal.set_account(resolver=signed.unvalidating)
    reports = rehearsal.run(SHOP)
    assert codes(reports[0])[0] == "dnssec_unknown"
    assert preflight.stop_reason(reports) is None


def test_credentials_that_work_are_fine_and_nothing_is_written(
    rehearsal: Rehearsal, server: DnsServer
) -> None:
    rehearsal.by_credentials(server, "none.customer.test")
    (report,) = rehearsal.run("none.customer.test")
    assert report.worst is None
    assert {"record_place_found", "credentials_work"} <= set(codes(report))
    assert server.records == {}


@pytest.mark.parametrize(
    ("rcode", "code", "permanent"),
    [(dns.rcode.REFUSED, "dns_refused", True), (dns.rcode.SERVFAIL, "dns_unavailable", False)],
)
def test_credentials_that_do_not_work_stop(
    rehearsal: Rehearsal, server: DnsServer, rcode: dns.rcode.Rcode, code: str, permanent: bool
) -> None:
    server.rcode = rcode
    rehearsal.by_credentials(server, "none.customer.test")
    assert reason(rehearsal.run("none.customer.test")) == (code, permanent, "none.customer.test")


def test_an_account_without_dns_access_is_the_operators_case(rehearsal: Rehearsal) -> None:
    reports = rehearsal.run("none.customer.test")
    assert reports[0].method is ValidationMethod.OPERATOR
    assert reason(reports) == ("dns_not_configured", False, "none.customer.test")


def test_the_operators_own_dns_access_is_no_customers_case(rehearsal: Rehearsal, server: DnsServer) -> None:
    server.rcode = dns.rcode.REFUSED
    rehearsal.set_account(dns={"kind": "rfc2136", "config": {"server": server.address, "zone": server.zone}})
    reports = rehearsal.run("none.customer.test")
    assert reason(reports) == ("operators_dns_refused", False, "none.customer.test")
    server.rcode = None
    assert preflight.stop_reason(rehearsal.run("none.customer.test")) is None

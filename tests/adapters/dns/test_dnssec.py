"""Telling a broken chain of signatures from all else, with BIND as the validating resolver."""

from __future__ import annotations

from collections.abc import Iterator

import dns.rcode
import pytest

from portal.adapters.dns.dnssec import Dnssec, look
from tests.adapters.dns.contract import code_of
from tests.dns_server import DnsServer
from tests.signed_zones import SignedZones, signed_zones

RECORDS = ["@ A 192.0.2.1", "shop A 192.0.2.2", '@ CAA 0 issue "ca.example"', '_acme-challenge TXT "x"']
SIGNED = "good.test"


@pytest.fixture(scope="module")
def bind() -> Iterator[SignedZones]:
    aliases = ["pointed CNAME shop.broken.test.", "_acme-challenge.www CNAME label.plain.test."]
    with signed_zones(
        {"plain.test": RECORDS}, {SIGNED: [*RECORDS, *aliases]}, {"broken.test": RECORDS}
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("good.test", "A", Dnssec.SECURE),
        ("good.test", "CAA", Dnssec.SECURE),
        ("_acme-challenge.good.test", "TXT", Dnssec.SECURE),
        # that there is nothing is signed as well
        ("shop.good.test", "CAA", Dnssec.SECURE),
        ("nothing.good.test", "A", Dnssec.SECURE),
        ("plain.test", "A", Dnssec.INSECURE),
        ("nothing.plain.test", "TXT", Dnssec.INSECURE),
        ("_acme-challenge.www.good.test", "TXT", Dnssec.INSECURE),
        ("broken.test", "A", Dnssec.BOGUS),
        ("broken.test", "CAA", Dnssec.BOGUS),
        ("_acme-challenge.broken.test", "TXT", Dnssec.BOGUS),
        # a broken zone at the end of a CNAME breaks the name as well
        ("pointed.good.test", "A", Dnssec.BOGUS),
    ],
)
def test_a_validating_resolver_tells(bind: SignedZones, name: str, kind: str, found: Dnssec) -> None:
    assert look(name, kind, bind.resolver, 5, signed=SIGNED) is found


@pytest.mark.parametrize("name", ["good.test", "plain.test", "broken.test", "nothing.good.test"])
def test_a_resolver_that_does_not_validate_knows_nothing(bind: SignedZones, name: str) -> None:
    assert look(name, "A", bind.unvalidating, 5, signed=SIGNED) is Dnssec.UNKNOWN


def test_a_server_that_fails_either_way_is_no_broken_zone(server: DnsServer) -> None:
    server.rcode = dns.rcode.SERVFAIL
    assert code_of(lambda: look("shop.example.com", "A", server.address, 1)) == ("dns_unavailable", False)


def test_a_refusal_says_nothing_of_signatures(server: DnsServer) -> None:
    server.rcode = dns.rcode.REFUSED
    assert code_of(lambda: look("shop.example.com", "A", server.address, 1)) == ("dns_unavailable", False)


def test_a_silent_server_is_left_in_time(server: DnsServer) -> None:
    server.is_silent = True
    assert code_of(lambda: look("shop.example.com", "A", server.address, 0.3)) == ("dns_unavailable", False)


def test_a_server_that_failed_for_a_moment_is_asked_once_more(server: DnsServer) -> None:
    server.records["shop.example.com"] = {"A": ["192.0.2.1"]}
    server.failures = 1
    assert look("shop.example.com", "A", server.address, 2) is Dnssec.UNKNOWN


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_a_server_that_knows_nothing_of_dnssec_is_no_error(server: DnsServer, rcode: dns.rcode.Rcode) -> None:
    server.rcode = rcode
    assert look("shop.example.com", "A", server.address, 1) is Dnssec.UNKNOWN

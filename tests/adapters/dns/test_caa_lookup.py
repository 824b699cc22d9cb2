"""Finding CAA records in real zones, through a resolver and at the server itself."""

from __future__ import annotations

from collections.abc import Iterator

import dns.rcode
import pytest

from portal.adapters.dns.caa_lookup import find_caa
from portal.domain.caa import CaaRecord, CaaSet
from tests.adapters.dns.contract import code_of
from tests.dns_server import DnsServer
from tests.signed_zones import SignedZones, signed_zones

ISSUE = CaaRecord(0, "issue", "ca1.example.net")
SHOP = CaaRecord(0, "issue", "ca2.example.org; accounturi=https://ca/1; validationmethods=dns-01")

ZONES = {
    "example.test": [
        '@ CAA 0 issue "ca1.example.net"',
        "deep.down A 192.0.2.1",
        '*.wild CAA 0 issue ";"',
        'shop CAA 0 issue "ca2.example.org; accounturi=https://ca/1; validationmethods=dns-01"',
        "www CNAME shop",
        "far CNAME pointed.other.test.",
        "bare CNAME www.none.test.",
        "dangling CNAME nowhere.none.test.",
        "circle CNAME turn",
        "turn CNAME circle",
    ],
    "other.test": ['@ CAA 128 issue ";"', "pointed A 192.0.2.2"],
    "none.test": ["www A 192.0.2.3", "child A 192.0.2.3"],
}


@pytest.fixture(scope="module")
def bind() -> Iterator[SignedZones]:
    with signed_zones(ZONES, {}, {}) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "at", "record"),
    [
        ("example.test", "example.test", ISSUE),
        ("EXAMPLE.test.", "example.test", ISSUE),
        ("*.example.test", "example.test", ISSUE),
        ("deep.down.example.test", "example.test", ISSUE),
        ("not.there.at.all.example.test", "example.test", ISSUE),
        ("shop.example.test", "shop.example.test", SHOP),
        ("a.shop.example.test", "shop.example.test", SHOP),
        ("*.shop.example.test", "shop.example.test", SHOP),
        # a CNAME's target gives its own records, under the name that was asked for
        ("www.example.test", "www.example.test", SHOP),
        # a target without records: the tree is climbed from the name, not from the target
        ("far.example.test", "example.test", ISSUE),
        ("bare.example.test", "example.test", ISSUE),
        ("dangling.example.test", "example.test", ISSUE),
        # a wildcard record of the DNS is an answer like any other
        ("any.wild.example.test", "any.wild.example.test", CaaRecord(0, "issue", ";")),
        ("pointed.other.test", "other.test", CaaRecord(128, "issue", ";")),
    ],
)
def test_the_nearest_set_up_the_tree_is_found(
    bind: SignedZones, name: str, at: str, record: CaaRecord
) -> None:
    for server in (bind.resolver, bind.authority):
        assert find_caa(name, server) == CaaSet(at, (record,))


def test_a_name_without_records_up_to_the_root_has_none(bind: SignedZones) -> None:
    assert find_caa("www.child.none.test", bind.resolver) == CaaSet()


def test_a_circle_of_cnames_is_no_answer(bind: SignedZones) -> None:
    assert code_of(lambda: find_caa("circle.example.test", bind.resolver, 2)) == ("dns_unavailable", False)


def test_a_server_that_leaves_following_to_us_is_asked_hop_by_hop(server: DnsServer) -> None:
    server.alias("www.example.com", "shop.example.com")
    server.records["shop.example.com"] = {"CAA": ['0 issue "ca1.example.net"']}
    assert find_caa("www.example.com", server.address) == CaaSet("www.example.com", (ISSUE,))


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_a_server_that_fails_is_asked_again_later(server: DnsServer, rcode: dns.rcode.Rcode) -> None:
    server.rcode = rcode
    assert code_of(lambda: find_caa("shop.example.com", server.address, 1)) == ("dns_unavailable", False)


def test_a_silent_server_is_left_in_time(server: DnsServer) -> None:
    server.is_silent = True
    assert code_of(lambda: find_caa("shop.example.com", server.address, 0.3)) == ("dns_unavailable", False)

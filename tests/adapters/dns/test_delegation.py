"""Following a customer's CNAMEs."""

from __future__ import annotations

import itertools

import dns.rcode
import pytest

from portal.adapters.dns.delegation import MOST_HOPS, follow_delegation
from tests.adapters.dns.contract import code_of
from tests.dns_server import DnsServer

NAME = "_acme-challenge.shop.example.com"


def test_a_name_without_a_cname_is_its_own_place(server: DnsServer) -> None:
    assert follow_delegation(NAME, server.address) == NAME


def test_a_name_with_other_records_is_its_own_place(server: DnsServer) -> None:
    server.records[NAME] = {"TXT": ['"old"']}
    assert follow_delegation(NAME, server.address) == NAME


@pytest.mark.parametrize("hops", [1, 2, MOST_HOPS])
def test_cnames_are_followed_to_their_end(server: DnsServer, hops: int) -> None:
    names = [NAME, *(f"hop{number}.example.net" for number in range(hops))]
    for name, target in itertools.pairwise(names):
        server.alias(name, target)
    assert follow_delegation(NAME, server.address) == names[-1]


def test_capitals_do_not_matter(server: DnsServer) -> None:
    server.alias(NAME, "C1.Validation.Example.NET")
    assert follow_delegation(NAME.upper() + ".", server.address) == "c1.validation.example.net"


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_is_refused(server: DnsServer, length: int) -> None:
    names = [NAME, *(f"hop{number}.example.net" for number in range(length - 1))]
    for name, target in zip(names, [*names[1:], NAME], strict=True):
        server.alias(name, target)
    assert code_of(lambda: follow_delegation(NAME, server.address)) == ("dns_delegation_broken", True)


def test_a_chain_without_an_end_is_refused(server: DnsServer) -> None:
    names = [NAME, *(f"hop{number}.example.net" for number in range(MOST_HOPS + 1))]
    for name, target in itertools.pairwise(names):
        server.alias(name, target)
    assert code_of(lambda: follow_delegation(NAME, server.address)) == ("dns_delegation_broken", True)


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_a_server_that_fails_is_asked_again_later(server: DnsServer, rcode: dns.rcode.Rcode) -> None:
    server.rcode = rcode
    assert code_of(lambda: follow_delegation(NAME, server.address, 1)) == ("dns_unavailable", False)


def test_a_silent_server_is_left_in_time(server: DnsServer) -> None:
    server.is_silent = True
    assert code_of(lambda: follow_delegation(NAME, server.address, 0.3)) == ("dns_unavailable", False)


@pytest.mark.parametrize("address", ["ns.example.com", "127.0.0.1:0", "127.0.0.1:x", "[::1", ""])
def test_a_resolver_that_is_no_address_is_named(address: str) -> None:
    assert code_of(lambda: follow_delegation(NAME, address, 0.3))[0] in {"dns_settings", "dns_unavailable"}


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example.com"])
def test_what_is_no_name_is_refused(server: DnsServer, name: str) -> None:
    assert code_of(lambda: follow_delegation(name, server.address)) == ("dns_settings", True)

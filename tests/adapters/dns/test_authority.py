"""Asking a zone's own name servers, with BIND."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from portal.adapters.dns.authority import Vantage, is_published
from tests.adapters.dns.contract import code_of
from tests.bind import Bind, bind
from tests.dns_server import dns_server
from tests.pebble import free_ports

ZONE = "svc.test"
NAME = f"label.{ZONE}"
SECOND = "127.0.0.2"


@pytest.fixture(scope="module")
def running() -> Iterator[Bind]:
    with bind(ZONE) as server:
        yield server


@pytest.fixture
def named(running: Bind) -> Bind:
    """With one name server, at 127.0.0.1, and nothing else."""
    running.set(ZONE, NAME, "TXT")
    running.set(ZONE, f"ns2.{ZONE}", "A")
    running.set(ZONE, f"ns1.{ZONE}", "A", "127.0.0.1")
    return running


@pytest.fixture
def vantage(named: Bind) -> Vantage:
    return Vantage(named.address, 3.0, named.port, ("127.0.0.0/8",))


def test_a_value_is_seen_when_it_is_there(named: Bind, vantage: Vantage) -> None:
    assert not is_published(NAME, "one", vantage)
    named.set(ZONE, NAME, "TXT", '"zero"')
    assert not is_published(NAME, "one", vantage)
    named.set(ZONE, NAME, "TXT", '"zero"', '"one"')
    assert is_published(NAME.upper(), "one", vantage)


def test_a_value_in_pieces_is_one(named: Bind, vantage: Vantage) -> None:
    named.set(ZONE, NAME, "TXT", '"on" "e"')
    assert is_published(NAME, "one", vantage)


def test_every_name_server_has_to_have_it(named: Bind, vantage: Vantage) -> None:
    named.set(ZONE, NAME, "TXT", '"one"')
    named.set(ZONE, f"ns1.{ZONE}", "A", "127.0.0.1", SECOND)
    with dns_server(ZONE, host=SECOND, port=named.port) as second:
        assert not is_published(NAME, "one", vantage)
        second.records[NAME] = {"TXT": ['"one"']}
        assert is_published(NAME, "one", vantage)


def test_a_name_server_that_is_down_is_left_out(named: Bind, vantage: Vantage) -> None:
    named.set(ZONE, NAME, "TXT", '"one"')
    named.set(ZONE, f"ns1.{ZONE}", "A", "127.0.0.1", SECOND)
    assert is_published(NAME, "one", replace(vantage, timeout=0.5))


def test_where_no_name_server_answers_nothing_is_known(named: Bind, vantage: Vantage) -> None:
    (nobody,) = free_ports(1)
    away = replace(vantage, timeout=0.5, port=nobody)
    assert code_of(lambda: is_published(NAME, "one", away)) == ("dns_unavailable", False)


def test_a_name_server_at_a_forbidden_address_is_not_asked(named: Bind, vantage: Vantage) -> None:
    (nobody,) = free_ports(1)
    guarded = replace(vantage, port=nobody, allowed_networks=())
    assert not is_published(NAME, "one", guarded)
    named.set(ZONE, NAME, "TXT", '"one"')
    assert is_published(NAME, "one", guarded)


def test_without_a_zone_the_resolver_is_believed() -> None:
    with dns_server("example.com") as server:
        vantage = Vantage(server.address, 3.0)
        assert not is_published("_acme-challenge.example.com", "one", vantage)
        server.records["_acme-challenge.example.com"] = {"TXT": ['"one"']}
        assert is_published("_acme-challenge.example.com", "one", vantage)


def test_a_resolver_that_is_away_is_said(vantage: Vantage) -> None:
    (nobody,) = free_ports(1)
    away = replace(vantage, resolver=f"127.0.0.1:{nobody}", timeout=0.5)
    assert code_of(lambda: is_published(NAME, "one", away)) == ("dns_unavailable", False)

"""The sandbox provider, at a real pebble-challtestsrv."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dns.message
import dns.query
import pytest

from portal.adapters.dns.sandbox import SandboxDns
from tests.adapters.dns.contract import NAME, DnsContract, code_of
from tests.pebble import Pebble, pebble
from tests.servers import listening_socket


@dataclass(frozen=True)
class SandboxZone:
    server: Pebble

    def connect(self) -> SandboxDns:
        return SandboxDns(self.server.dns_options, {}, 5)

    def values(self, name: str) -> list[str]:
        query = dns.message.make_query(name, "TXT")
        answer = dns.query.udp(query, "127.0.0.1", timeout=5, port=self.server.dns_port)
        return [record.strings[0].decode() for rrset in answer.answer for record in rrset]


@pytest.fixture(scope="module")
def running() -> Iterator[Pebble]:
    with pebble() as server:
        yield server


@pytest.fixture
def zone(running: Pebble) -> SandboxZone:
    running.call("clear-txt", host=f"{NAME}.")
    return SandboxZone(running)


class TestSandbox(DnsContract):
    """The suite of every provider."""


def test_a_server_that_is_away_is_unavailable(zone: SandboxZone) -> None:
    with listening_socket() as sock:
        port = sock.getsockname()[1]
    for wrong in ({"url": f"http://127.0.0.1:{port}"}, {"server": f"127.0.0.1:{port}"}):
        provider = SandboxDns({**zone.server.dns_options, **wrong}, {}, 0.5)
        assert code_of(lambda provider=provider: provider.add_txt(NAME, "one")) == ("dns_unavailable", False)


def test_an_answer_that_is_none_of_the_test_servers_is_unavailable(zone: SandboxZone) -> None:
    provider = SandboxDns({**zone.server.dns_options, "url": f"{zone.server.management_url}/nothing"}, {}, 5)
    assert code_of(lambda: provider.add_txt(NAME, "one")) == ("dns_unavailable", False)

"""Dynamic updates, against a server that checks their signatures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import dns.rcode
import pytest

from portal.adapters.dns.rfc2136 import Rfc2136Dns
from portal.adapters.errors import AdapterError
from tests.adapters.dns.conftest import KEY_NAME, KEY_SECRET
from tests.adapters.dns.contract import NAME, DnsContract, code_of
from tests.bind import Bind, bind
from tests.dns_server import DnsServer, dns_server
from tests.servers import listening_socket


@dataclass(frozen=True)
class UpdateZone:
    server: DnsServer
    config: dict[str, str] = field(default_factory=dict)
    secret: str = KEY_SECRET
    timeout: float = 5.0

    def connect(self) -> Rfc2136Dns:
        config = {"server": self.server.address, "zone": "example.com", "key_name": KEY_NAME, **self.config}
        return Rfc2136Dns(config, {"key_secret": self.secret} if self.secret else {}, self.timeout)

    def values(self, name: str) -> list[str]:
        return self.server.txt(name)


@pytest.fixture
def zone(server: DnsServer) -> UpdateZone:
    return UpdateZone(server)


class TestRfc2136(DnsContract):
    """The suite of every provider."""


@dataclass(frozen=True)
class BindZone:
    server: Bind

    def connect(self) -> Rfc2136Dns:
        return Rfc2136Dns(self.server.options("example.com"), self.server.secrets, 5.0)

    def values(self, name: str) -> list[str]:
        return self.server.txt(name)


@pytest.fixture(scope="module")
def named() -> Iterator[Bind]:
    with bind("example.com", narrow=["narrow.test"]) as running:
        yield running


class TestBind(DnsContract):
    """The suite once more, with BIND."""

    @pytest.fixture
    def zone(self, named: Bind) -> BindZone:
        named.set("example.com", NAME, "TXT")
        return BindZone(named)

    def test_an_update_needs_the_key(self, zone: BindZone) -> None:
        config = zone.server.options("example.com")
        wrong = {"key_secret": "d3Jvbmctd3Jvbmctd3Jvbmctd3JvbmchIQ=="}
        for provider in (
            Rfc2136Dns(config, wrong, 5.0),
            Rfc2136Dns({**config, "key_name": "other"}, zone.server.secrets, 5.0),
            Rfc2136Dns({**config, "key_name": ""}, {}, 5.0),
        ):
            assert code_of(provider.check) == ("dns_refused", True)
            assert code_of(lambda provider=provider: provider.add_txt(NAME, "one")) == ("dns_refused", True)
        assert zone.values(NAME) == []

    def test_a_key_that_may_change_txt_records_alone_is_enough(self, named: Bind) -> None:
        provider = Rfc2136Dns(named.options("narrow.test"), named.secrets, 5.0)
        provider.check()
        provider.add_txt("label.narrow.test", "one")
        assert named.txt("label.narrow.test") == ["one"]
        provider.remove_txt("label.narrow.test", "one")
        assert named.txt("label.narrow.test") == []
        with pytest.raises(AssertionError, match="REFUSED"):
            named.set("narrow.test", "label.narrow.test", "A", "127.0.0.1")

    def test_a_zone_that_it_does_not_have_is_refused(self, zone: BindZone) -> None:
        elsewhere = Rfc2136Dns(zone.server.options("example.org"), zone.server.secrets, 5.0)
        assert code_of(elsewhere.check) == ("dns_refused", True)


@pytest.fixture
def open_server() -> Iterator[DnsServer]:
    """One that takes updates from anyone who can reach it."""
    with dns_server("example.com") as running:
        yield running


def test_without_a_key_updates_are_not_signed(open_server: DnsServer) -> None:
    provider = UpdateZone(open_server, {"key_name": ""}, secret="").connect()
    provider.add_txt(NAME, "one")
    assert open_server.txt(NAME) == ["one"]


def test_an_unsigned_update_is_refused_where_a_signature_is_wanted(zone: UpdateZone) -> None:
    unsigned = replace(zone, config={"key_name": ""}, secret="")
    assert code_of(lambda: unsigned.connect().add_txt(NAME, "one")) == ("dns_refused", True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "d3Jvbmctd3Jvbmctd3Jvbmctd3JvbmchIQ=="},
        {"config": {"key_name": "another-key."}},
        {"config": {"key_algorithm": "hmac-sha512"}},
    ],
)
def test_an_update_with_a_wrong_key_changes_nothing(zone: UpdateZone, wrong: dict[str, str]) -> None:
    assert code_of(lambda: replace(zone, **wrong).connect().add_txt(NAME, "one")) == ("dns_refused", True)
    assert zone.values(NAME) == []
    assert zone.server.updates == 0


def test_an_answer_that_is_not_signed_is_not_believed(zone: UpdateZone, open_server: DnsServer) -> None:
    astray = UpdateZone(open_server)
    with pytest.raises(AdapterError):
        astray.connect().add_txt(NAME, "one")


def test_a_name_outside_the_zone_is_not_sent(zone: UpdateZone) -> None:
    assert code_of(lambda: zone.connect().add_txt("_acme-challenge.example.org", "one")) == (
        "dns_outside_zone",
        True,
    )
    assert code_of(lambda: zone.connect().remove_txt("notexample.com", "one")) == ("dns_outside_zone", True)


@pytest.mark.parametrize(
    ("rcode", "expected"),
    [
        (dns.rcode.SERVFAIL, ("dns_unavailable", False)),
        (dns.rcode.REFUSED, ("dns_refused", True)),
        (dns.rcode.NOTZONE, ("dns_refused", True)),
    ],
)
def test_each_answer_has_its_code(
    zone: UpdateZone, rcode: dns.rcode.Rcode, expected: tuple[str, bool]
) -> None:
    zone.server.rcode = rcode
    assert code_of(lambda: zone.connect().add_txt(NAME, "one")) == expected


def test_a_server_that_is_away_is_unavailable(zone: UpdateZone) -> None:
    with listening_socket() as sock:
        port = sock.getsockname()[1]
    away = replace(zone, config={"server": f"127.0.0.1:{port}"})
    assert code_of(lambda: away.connect().add_txt(NAME, "one")) == ("dns_unavailable", False)


def test_a_silent_server_is_left_in_time(zone: UpdateZone) -> None:
    zone.server.is_silent = True
    assert code_of(lambda: replace(zone, timeout=0.3).connect().add_txt(NAME, "one")) == (
        "dns_unavailable",
        False,
    )


@pytest.mark.parametrize(
    ("config", "secret"),
    [
        ({"server": ""}, KEY_SECRET),
        ({"server": "ns.example.com"}, KEY_SECRET),
        ({"server": "127.0.0.1:many"}, KEY_SECRET),
        ({"zone": "a..b"}, KEY_SECRET),
        ({"key_algorithm": "hmac-md5"}, KEY_SECRET),
        ({}, "no base64"),
        ({}, ""),
        ({"key_name": ""}, KEY_SECRET),
    ],
)
def test_a_wrong_setting_is_named(zone: UpdateZone, config: dict[str, str], secret: str) -> None:
    assert code_of(replace(zone, config=config, secret=secret).connect) == ("dns_settings", True)


def test_a_value_that_is_no_character_string_is_refused(zone: UpdateZone) -> None:
    for value in ('a" "b', "a\nb", "ü", "x" * 256):
        assert code_of(lambda value=value: zone.connect().add_txt(NAME, value)) == ("dns_settings", True)
    assert zone.server.updates == 0


def test_the_key_shows_in_no_error(zone: UpdateZone) -> None:
    zone.server.rcode = dns.rcode.REFUSED
    with pytest.raises(AdapterError) as caught:
        zone.connect().add_txt(NAME, "one")
    assert KEY_SECRET not in repr(caught.value) + str(caught.value)

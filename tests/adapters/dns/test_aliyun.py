"""AliDNS, against a server that checks signatures and searches as generously as the service does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from portal.adapters.dns import registry
from portal.adapters.dns.base import DnsProvider
from portal.adapters.errors import AdapterError
from tests.adapters.dns.contract import NAME, DnsContract, code_of
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer
from tests.cloud_faults import Fault

ADD, DELETE = "AddDomainRecord", "DeleteDomainRecord"


@dataclass(frozen=True)
class AliZone:
    server: AliyunServer
    secret: str = ACCESS_KEY_SECRET
    key_id: str = ACCESS_KEY_ID

    def connect(self) -> DnsProvider:
        config, secrets = {"access_key_id": self.key_id}, {"access_key_secret": self.secret}
        return registry.connect("aliyun", config, secrets, 1.0, self.server.endpoints)

    def values(self, name: str) -> list[str]:
        return self.server.dns.txt(name)


@pytest.fixture(scope="module")
def running() -> Iterator[AliyunServer]:
    with AliyunServer() as started:
        yield started


@pytest.fixture
def zone(running: AliyunServer) -> AliZone:
    running.faults.clear()
    running.calls.clear()
    running.dns.zones[:] = ["example.com"]
    running.dns.records.clear()
    running.dns.most_rows = 500
    return AliZone(running)


class TestAliyun(DnsContract):
    """The suite of every provider."""


def test_records_live_as_briefly_as_the_service_lets_them(zone: AliZone) -> None:
    zone.connect().add_txt(NAME, "one")
    (record,) = zone.server.dns.records
    assert (record.zone, record.rr, record.type, record.ttl) == ("example.com", "_acme-challenge", "TXT", 600)


@pytest.mark.parametrize(
    ("zones", "name", "expected"),
    [
        (["example.com", "shop.example.com"], "_acme-challenge.shop.example.com", "shop.example.com"),
        (["example.com", "ample.com"], "_acme-challenge.shop.example.com", "example.com"),
        (["notexample.com", "example.com"], "_acme-challenge.example.com", "example.com"),
        (["example.com"], "example.com", "example.com"),
    ],
)
def test_the_longest_zone_that_a_name_lies_in_is_written_to(
    zone: AliZone, zones: list[str], name: str, expected: str
) -> None:
    zone.server.dns.zones[:] = zones
    zone.connect().add_txt(name.upper(), "one")
    assert [record.zone for record in zone.server.dns.records] == [expected]
    assert zone.values(name) == ["one"]
    zone.connect().remove_txt(name, "one")
    assert zone.values(name) == []


def test_a_name_in_no_zone_of_the_account_is_said(zone: AliZone) -> None:
    with pytest.raises(AdapterError) as caught:
        zone.connect().add_txt("_acme-challenge.example.org", "one")
    assert (caught.value.code, caught.value.permanent) == ("dns_zone_missing", True)
    assert caught.value.params["name"] == "_acme-challenge.example.org"
    zone.connect().remove_txt("_acme-challenge.example.org", "one")


def test_names_and_values_that_only_contain_ours_stay(zone: AliZone) -> None:
    kept = [
        ("_acme-challenge", "TXT", "one-more"),
        ("_acme-challenge.shop", "TXT", "one"),
        ("x_acme-challenge", "TXT", "one"),
        ("_acme-challenge", "CNAME", "one"),
        ("@", "TXT", "v=spf1 -all"),
    ]
    for rr, kind, value in kept:
        zone.server.dns.add("example.com", rr, kind, value)
    zone.connect().add_txt(NAME, "one")
    zone.connect().remove_txt(NAME, "one")
    assert [(one.rr, one.type, one.value) for one in zone.server.dns.records] == kept


def test_a_value_on_a_late_page_is_found(zone: AliZone) -> None:
    zone.server.dns.most_rows = 2
    for number in range(5):
        zone.server.dns.add("example.com", "_acme-challenge", "TXT", f"other-{number}")
    zone.server.dns.add("example.com", "_acme-challenge", "TXT", "one")
    zone.connect().add_txt(NAME, "one")
    assert zone.server.count(ADD) == 0
    zone.connect().remove_txt(NAME, "one")
    assert zone.values(NAME) == [f"other-{number}" for number in range(5)]


def test_an_addition_whose_answer_was_lost_is_not_made_twice(zone: AliZone) -> None:
    zone.server.faults.add(ADD, Fault.LOST)
    assert code_of(lambda: zone.connect().add_txt(NAME, "one")) == ("dns_unavailable", False)
    assert zone.values(NAME) == ["one"]
    zone.connect().add_txt(NAME, "one")
    assert zone.values(NAME) == ["one"]
    assert zone.server.count(ADD) == 1


def test_a_deletion_whose_answer_was_lost_is_found_done(zone: AliZone) -> None:
    zone.connect().add_txt(NAME, "one")
    zone.server.faults.add(DELETE, Fault.LOST)
    assert code_of(lambda: zone.connect().remove_txt(NAME, "one")) == ("dns_unavailable", False)
    zone.connect().remove_txt(NAME, "one")
    assert zone.values(NAME) == []
    assert zone.server.count(DELETE) == 1


def test_there_already_is_believed_only_when_seen(zone: AliZone) -> None:
    zone.server.refuse_next(ADD, 400, "DomainRecordDuplicate")
    assert code_of(lambda: zone.connect().add_txt(NAME, "one")) == ("dns_refused", True)


def test_gone_already_is_fine(zone: AliZone) -> None:
    zone.connect().add_txt(NAME, "one")
    zone.server.refuse_next(DELETE, 400, "DomainRecordNotBelongToUser")
    zone.connect().remove_txt(NAME, "one")


@pytest.mark.parametrize(
    ("status", "theirs", "expected"),
    [
        (400, "Throttling.User", ("dns_throttled", False)),
        (503, "ServiceUnavailable", ("dns_unavailable", False)),
        (400, "DomainRecordLocked", ("dns_unavailable", False)),
        (403, "Forbidden.RAM", ("dns_permission", True)),
        (403, "InvalidAccessKeyId.Inactive", ("dns_credentials", True)),
        (404, "InvalidDomainName.NoExist", ("dns_zone_missing", True)),
        (400, "InvalidTimeStamp.Expired", ("cloud_clock", True)),
        (400, "QuotaExceeded.Record", ("dns_refused", True)),
    ],
)
def test_each_error_has_its_code(zone: AliZone, status: int, theirs: str, expected: tuple[str, bool]) -> None:
    zone.server.refuse_next(ADD, status, theirs)
    assert code_of(lambda: zone.connect().add_txt(NAME, "one")) == expected


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.HTML_502, Fault.SLOW])
def test_an_answer_that_is_none_is_tried_again_later(zone: AliZone, fault: Fault) -> None:
    zone.server.faults.add("DescribeDomains", fault)
    assert code_of(lambda: zone.connect().add_txt(NAME, "one")) == ("dns_unavailable", False)


@pytest.mark.parametrize("wrong", [{"secret": "not-the-secret"}, {"key_id": "LTAIunknown"}, {"secret": ""}])
def test_a_wrong_key_is_told_apart_and_shows_nowhere(zone: AliZone, wrong: dict[str, str]) -> None:
    other = AliZone(zone.server, **wrong)
    for call in (other.connect().check, lambda: other.connect().add_txt(NAME, "one")):
        with pytest.raises(AdapterError) as caught:
            call()
        assert (caught.value.code, caught.value.permanent) == ("dns_credentials", True)
        assert "secret" not in repr(caught.value) + str(caught.value)
    assert zone.values(NAME) == []


def test_a_check_only_reads(zone: AliZone) -> None:
    zone.connect().check()
    assert [call.action for call in zone.server.calls] == ["DescribeDomains"]


def test_nothing_travels_in_the_address(zone: AliZone) -> None:
    zone.connect().add_txt(NAME, "one")
    zone.connect().remove_txt(NAME, "one")
    assert {call.query for call in zone.server.calls} == {""}

"""How calls look on the wire, and which installations of settings never get that far."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from portal.adapters.cloud import errors
from portal.adapters.cloud.aliyun.cas import Cas
from portal.adapters.cloud.aliyun.cdn import Cdn
from portal.adapters.cloud.aliyun.client import AliyunClient
from portal.adapters.cloud.base import CloudSettings
from portal.adapters.errors import AdapterError
from tests import pki
from tests.adapters.cloud.stands import material_of
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer


@pytest.fixture
def server() -> Iterator[AliyunServer]:
    with AliyunServer() as started:
        yield started


def account(server: AliyunServer, **config: str) -> CloudSettings:
    return CloudSettings(
        {"access_key_id": ACCESS_KEY_ID, "site": "cn-hangzhou", **config},
        {"access_key_secret": ACCESS_KEY_SECRET},
        server.endpoints,
        timeout=2,
    )


def test_every_parameter_travels_in_the_body(server: AliyunServer) -> None:
    server.add_domain("shop.example.com")
    cdn = Cdn(account(server))
    cdn.check_credentials()
    cdn.bind("shop.example.com", cdn.upload(material_of(pki.make_certificate())))
    cdn.bound_sha256("shop.example.com")
    assert len(server.calls) == 6
    assert [call.query for call in server.calls] == [""] * 6


@pytest.mark.parametrize("text", ["a b", "ä+ö", "~.-_", "100%&x=y", "中文", "*.example.com"])
def test_any_text_is_signed_rightly(server: AliyunServer, text: str) -> None:
    client = AliyunClient(account(server), "cas", "2020-04-07", "cas.example.com")
    client.call("ListUserCertificateOrder", OrderType="UPLOAD", Keyword=text)
    assert server.calls[-1].parameters["Keyword"] == text


def test_a_clock_that_is_wrong_is_named(server: AliyunServer) -> None:
    server.refuse_next("DescribeUserDomains", 400, "InvalidTimeStamp.Expired")
    with pytest.raises(AdapterError) as caught:
        Cdn(account(server)).list_domains()
    assert (caught.value.code, caught.value.permanent) == (errors.CLOCK, True)


def test_requests_carry_the_present_time(server: AliyunServer) -> None:
    cdn = Cdn(account(server))
    with time_machine.travel(timedelta(days=400), tick=True):
        cdn.check_credentials()
    assert server.count("DescribeUserDomains") == 1


def test_without_an_endpoint_of_its_own_a_product_is_called_over_https() -> None:
    settings = CloudSettings({"access_key_id": "A"}, {"access_key_secret": "B"})
    client = AliyunClient(settings, "cas", "2020-04-07", "cas.aliyuncs.com")
    assert (client._core._protocol, client._core._endpoint) == ("https", "cas.aliyuncs.com")
    assert client._core._region_id == "cn-hangzhou"


@pytest.mark.parametrize(("key_id", "secret"), [("", "secret"), ("id", "")])
def test_missing_credentials_are_a_credential_error(server: AliyunServer, key_id: str, secret: str) -> None:
    settings = CloudSettings({"access_key_id": key_id}, {"access_key_secret": secret}, server.endpoints)
    with pytest.raises(AdapterError) as caught:
        Cdn(settings).check_credentials()
    assert (caught.value.code, caught.value.permanent) == (errors.CREDENTIALS, True)
    assert server.calls == []


def test_a_site_without_a_certificate_store_is_refused(server: AliyunServer) -> None:
    with pytest.raises(AdapterError) as caught:
        Cas(account(server, site="cn-beijing"))
    assert (caught.value.code, caught.value.permanent) == (errors.REFUSED, True)

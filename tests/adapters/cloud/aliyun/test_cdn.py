"""Alibaba's CDN beyond the contract: sites, pages, states, and answers that say "already there"."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.adapters.cloud import errors
from portal.adapters.cloud.aliyun.cdn import Cdn
from portal.adapters.errors import AdapterError
from tests import pki
from tests.adapters.cloud.aliyun.test_client import account
from tests.adapters.cloud.stands import material_of
from tests.aliyun_server import AliyunServer

DOMAIN = "shop.example.com"


@pytest.fixture
def server() -> Iterator[AliyunServer]:
    with AliyunServer() as started:
        started.add_domain(DOMAIN)
        yield started


def test_certificates_are_bound_from_the_store_of_the_accounts_site(server: AliyunServer) -> None:
    cdn = Cdn(account(server, site="ap-southeast-1"))
    cdn.bind(DOMAIN, cdn.upload(material_of(pki.make_certificate())))
    assert cdn.site == "ap-southeast-1"
    assert server.calls[-1].parameters["CertRegion"] == "ap-southeast-1"
    assert server.bindings == [(DOMAIN, server.uploads[0].id)]


def test_every_page_of_domains_is_read_and_unusable_ones_are_left_out(server: AliyunServer) -> None:
    for number in range(1100):
        server.add_domain(f"d{number:04}.example.com")
    server.add_domain("off.example.com", status="offline")
    server.add_domain("new.example.com", status="configuring")
    domains = Cdn(account(server)).list_domains()
    assert len(domains) == 1102
    assert "off.example.com" not in domains
    assert server.count("DescribeUserDomains") == 3


def test_a_domain_that_is_offline_is_refused(server: AliyunServer) -> None:
    server.add_domain("off.example.com", status="offline")
    cdn = Cdn(account(server))
    remote_id = cdn.upload(material_of(pki.make_certificate(("off.example.com",))))
    with pytest.raises(AdapterError) as caught:
        cdn.bind("off.example.com", remote_id)
    assert (caught.value.code, caught.value.permanent) == (errors.TARGET_REFUSED, True)


def test_already_bound_is_fine_where_it_is_the_same(server: AliyunServer) -> None:
    cdn = Cdn(account(server))
    remote_id = cdn.upload(material_of(pki.make_certificate()))
    cdn.bind(DOMAIN, remote_id)
    server.refuse_next("SetCdnDomainSSLCertificate", 400, "Certificate.Duplicated")
    cdn.bind(DOMAIN, remote_id)


def test_already_bound_is_refused_where_it_is_another(server: AliyunServer) -> None:
    cdn = Cdn(account(server))
    cdn.bind(DOMAIN, cdn.upload(material_of(pki.make_certificate())))
    remote_id = cdn.upload(material_of(pki.make_certificate()))
    server.refuse_next("SetCdnDomainSSLCertificate", 400, "Certificate.Duplicated")
    with pytest.raises(AdapterError) as caught:
        cdn.bind(DOMAIN, remote_id)
    assert caught.value.code == errors.CERTIFICATE_REFUSED


def test_checking_credentials_asks_both_products_and_changes_nothing(server: AliyunServer) -> None:
    Cdn(account(server)).check_credentials()
    assert [call.action for call in server.calls] == ["ListUserCertificateOrder", "DescribeUserDomains"]

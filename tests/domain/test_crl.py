from __future__ import annotations

import pytest
from cryptography import x509

from portal.domain.crl import LONGEST_URL, crl_url_of
from tests import pki
from tests.crls import points

URL = "http://crl.example.com/1.crl"
URI = x509.UniformResourceIdentifier


def named_by(*extensions: x509.ExtensionType) -> str | None:
    return crl_url_of(pki.make_certificate(extensions=extensions).leaf)


def test_the_first_list_that_can_be_fetched_is_named():
    assert named_by(points("ldap://ldap.example.com/crl", URL, "http://other.example.com/")) == URL
    assert named_by(points("HTTPS://crl.example.com/")) == "HTTPS://crl.example.com/"


def test_a_certificate_without_a_list_names_none():
    assert named_by() is None
    assert named_by(points("ldap://ldap.example.com/crl")) is None


@pytest.mark.parametrize(
    "url", [f"http://e.com/{'x' * LONGEST_URL}", "http://e.com/\n", "file:///etc/passwd", ""]
)
def test_what_is_no_address_is_passed_over(url):
    assert named_by(points(url)) is None


def test_a_list_of_another_issuer_or_of_some_reasons_alone_is_passed_over():
    other = x509.DirectoryName(pki.test_ca().certificate.subject)
    indirect = x509.DistributionPoint([URI(URL)], None, None, [other])
    partial = x509.DistributionPoint([URI(URL)], None, frozenset([x509.ReasonFlags.key_compromise]), None)
    assert named_by(x509.CRLDistributionPoints([indirect, partial])) is None

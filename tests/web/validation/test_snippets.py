"""What web servers are told: a redirect where CAs would follow it, else a proxy."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from portal.web.validation.snippets import can_redirect, snippets

PATH = "/.well-known/acme-challenge/"


@pytest.mark.parametrize(
    ("portal", "followed"),
    [
        ("https://portal.example.com", True),
        ("http://portal.example.com:80", True),
        ("https://portal.example.com:8443", False),
        ("http://192.0.2.1", False),
        ("http://[2001:db8::1]", False),
        ("http://localhost", False),
    ],
)
def test_cas_follow_redirects_to_names_on_two_ports(portal, followed):
    assert can_redirect(portal) == followed


def test_a_redirect_leads_to_the_same_path_at_the_portal():
    nginx, apache, iis = snippets("https://portal.example.com")
    assert f"location ^~ {PATH} {{" in nginx.text
    assert "return 302 https://portal.example.com$request_uri;" in nginx.text
    assert apache.text.startswith("RedirectMatch 302 ")
    assert f"https://portal.example.com{PATH}$1" in apache.text
    action = ET.fromstring(iis.text).find(".//action")
    assert action is not None
    assert action.attrib == {
        "type": "Redirect",
        "redirectType": "Found",
        "url": f"https://portal.example.com{PATH}{{R:1}}",
    }


def test_elsewhere_requests_are_passed_on():
    nginx, apache, iis = snippets("https://portal.example.com:8443")
    for line in ("proxy_pass https://portal.example.com:8443;", "proxy_ssl_server_name on;"):
        assert line in nginx.text
    assert apache.text.splitlines() == [
        "SSLProxyEngine on",
        f'ProxyPass "{PATH}" "https://portal.example.com:8443{PATH}"',
    ]
    assert 'type="Rewrite"' in iis.text
    assert "SSL" not in snippets("http://192.0.2.1")[1].text

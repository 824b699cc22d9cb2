"""Looking at names over HTTP: a customer's site on loopback, and the portal behind it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Flask

from portal.adapters.dns.http_reach import PATH
from portal.domain.validation import ValidationMethod
from portal.sandbox.serving import WebServer
from portal.services import preflight
from tests.servers import listening_socket
from tests.services.rehearsal import ACCOUNT_URL, SHOP, Rehearsal, Site, codes, reason, stored

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def site(app: Flask, live_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    def look_up(host: str, port: int, *_rest: Any, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    portal_port = int(live_server.rpartition(":")[2])
    made = Site(f"http://portal.test:{portal_port}")
    server = WebServer(made)
    server.start("127.0.0.1", 0)
    port = int(server.url.rpartition(":")[2])
    app.extensions["settings"] = replace(
        app.extensions["settings"], challenge_http_port=port, challenge_https_port=portal_port
    )
    yield made
    server.stop()


def test_a_site_that_redirects_to_the_portal_is_fine(rehearsal: Rehearsal, site: Site, now: datetime) -> None:
    rehearsal.prove(SHOP, ValidationMethod.HTTP)
    (report,) = rehearsal.run(SHOP)
    assert codes(report) == [
        "method_fits",
        "dnssec_secure",
        "dnssec_secure",
        "http_answers",
        "caa_unrestricted",
    ]
    assert stored(SHOP) == (None, None, now)


def test_a_site_that_answers_otherwise_blocks_and_says_where_to_redirect(
    rehearsal: Rehearsal, site: Site
) -> None:
    site.body = "Welcome"
    rehearsal.prove(SHOP, ValidationMethod.HTTP)
    reports = rehearsal.run(SHOP)
    assert reason(reports) == ("http_wrong_answer", True, SHOP)
    error = preflight.stop_reason(reports)
    assert error is not None
    assert str(error.params["to"]).endswith(PATH)
    assert (error.params["path"], error.params["status"]) == (PATH, 200)


def test_a_site_that_is_away_blocks(rehearsal: Rehearsal, site: Site, app: Flask) -> None:
    with listening_socket() as sock:
        port = sock.getsockname()[1]
    app.extensions["settings"] = replace(app.extensions["settings"], challenge_http_port=port)
    rehearsal.prove(SHOP, ValidationMethod.HTTP)
    assert rehearsal.worst(SHOP) == "http_unreachable"


def test_a_site_inside_is_not_looked_at(rehearsal: Rehearsal, site: Site, app: Flask) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], allowed_networks=())
    rehearsal.prove(SHOP, ValidationMethod.HTTP)
    assert rehearsal.worst(SHOP) == "http_address_forbidden"


def test_caa_may_forbid_http(rehearsal: Rehearsal, site: Site) -> None:
    rehearsal.set_account(ACCOUNT_URL)
    rehearsal.prove("pinned.customer.test", ValidationMethod.HTTP)
    assert rehearsal.worst("pinned.customer.test") == "caa_other_method"


def test_a_wildcard_cannot_be_proved_over_http(rehearsal: Rehearsal, site: Site, now: datetime) -> None:
    rehearsal.prove(SHOP, ValidationMethod.HTTP)
    wildcard, plain = rehearsal.run(f"*.{SHOP}", SHOP)
    assert wildcard.worst is not None
    assert (wildcard.worst.code, plain.worst) == ("wildcard_needs_dns", None)
    assert stored(SHOP) == ("wildcard_needs_dns", "blocking", now)


def test_where_the_operator_set_http_up_wildcards_go_by_dns(rehearsal: Rehearsal, site: Site) -> None:
    rehearsal.set_account(challenge="http-01")
    wildcard, plain = rehearsal.run(f"*.{SHOP}", SHOP)
    assert "http_answers" in codes(plain)
    assert "dns_not_configured" in codes(wildcard)

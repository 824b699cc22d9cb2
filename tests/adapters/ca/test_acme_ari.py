"""Renewal information, the CA's clock and what the directory says of a CA, through a front that offers them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import time_machine

from portal.adapters.ca.acme_clock import HeardClock
from portal.adapters.ca.base import RenewalInfo
from tests.acme_proxy import AcmeProxy, Answer, problem
from tests.adapters.ca.acme_faults import NAMES, failure_of
from tests.adapters.ca.acme_world import AcmeWorld
from tests.adapters.ca.contract import code_of
from tests.ari_front import PATH, AriFront
from tests.pebble import Pebble

START = datetime(2026, 12, 1, tzinfo=UTC)
WINDOW = START, START + timedelta(days=2)


def test_a_window_is_read_with_its_reason_and_the_next_look(proxied: AcmeWorld, front: AriFront) -> None:
    front.windows["AQID.BAUG"] = WINDOW
    front.explanation_url = "https://ca.example/why"
    info = proxied.connect().renewal_info("AQID.BAUG")
    assert info is not None
    assert (info.start, info.end, info.explanation_url) == (*WINDOW, "https://ca.example/why")
    assert info.retry_at is not None
    assert abs(info.retry_at - datetime.now(UTC) - timedelta(hours=6)) < timedelta(seconds=10)


def test_the_window_of_a_certificate_that_the_ca_does_not_know_is_none(
    proxied: AcmeWorld, front: AriFront
) -> None:
    assert proxied.connect().renewal_info("AQID.BAUG") is None
    assert front.asked == ["AQID.BAUG"]


def test_asking_needs_no_account(proxied: AcmeWorld, front: AriFront, proxy: AcmeProxy) -> None:
    front.windows["AQID.BAUG"] = WINDOW
    proxied.account_url = None
    before = len(proxy.requests)
    assert proxied.connect().renewal_info("AQID.BAUG") is not None
    assert {one.method for one in proxy.requests[before:]} == {"GET"}


@pytest.mark.parametrize("name", ["", "x", "../dir", "a.b/../../dir", "a.b?c", "a.b.c", "a" * 300 + ".b"])
def test_what_is_no_identifier_is_not_asked_for(proxied: AcmeWorld, front: AriFront, name: str) -> None:
    assert proxied.connect().renewal_info(name) is None
    assert front.asked == []


def test_a_ca_without_renewal_information_has_no_window(world: AcmeWorld) -> None:
    assert world.connect().renewal_info("AQID.BAUG") is None


def test_a_ca_without_renewal_information_is_told_of_no_predecessor(
    proxied: AcmeWorld, proxy: AcmeProxy
) -> None:
    proxy.edit = lambda _request, answer: answer
    assert proxied.connect().new_order(NAMES, replaces="AQID.BAUG").url
    assert "replaces" not in proxy.payloads("/order-plz")[-1]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"suggestedWindow": None},
        {"suggestedWindow": {"start": "2026-12-01T00:00:00Z"}},
        {"suggestedWindow": {"start": "2026-12-03T00:00:00Z", "end": "2026-12-01T00:00:00Z"}},
        {"suggestedWindow": {"start": "2026-12-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"}},
        {"suggestedWindow": {"start": "2026-12-01T00:00:00", "end": "2026-12-03T00:00:00"}},
        {"suggestedWindow": {"start": "soon", "end": "later"}},
        {"suggestedWindow": {"start": 1, "end": 2}},
        {"suggestedWindow": {"start": "0001-01-01T00:00:00+14:00", "end": "2026-12-01T00:00:00Z"}},
    ],
)
def test_a_window_that_makes_no_sense_is_none(
    proxied: AcmeWorld, proxy: AcmeProxy, document: dict[str, object]
) -> None:
    proxy.rule = lambda request: (
        Answer(200, json.dumps(document).encode()) if request.path.startswith(PATH) else None
    )
    assert proxied.connect().renewal_info("AQID.BAUG") is None


@pytest.mark.parametrize(
    "url", ["http://ca.example/", "javascript:alert(1)", "https://", "x" * 600, 7, "https://[", None]
)
def test_an_explanation_that_is_no_web_address_is_left_out(
    proxied: AcmeWorld, proxy: AcmeProxy, url: object
) -> None:
    window = {"start": "2026-12-01t00:00:00.123456789z", "end": "2026-12-03T08:00:00+08:00"}
    body = json.dumps({"suggestedWindow": window, "explanationURL": url}).encode()
    proxy.rule = lambda request: Answer(200, body) if request.path.startswith(PATH) else None
    start = START + timedelta(microseconds=123456)
    assert proxied.connect().renewal_info("AQID.BAUG") == RenewalInfo(start, WINDOW[1], None, None)


def test_a_ca_that_is_busy_says_when_to_ask_for_the_window(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    proxy.rule = lambda request: (
        problem("rateLimited", 429, Retry_After="120") if request.path.startswith(PATH) else None
    )
    failure = failure_of(lambda: proxied.connect().renewal_info("AQID.BAUG"))
    assert (failure.code, failure.permanent) == ("ca_rate_limited", False)
    assert failure.not_before is not None


def test_a_window_on_another_host_is_not_asked_for(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    def elsewhere(_request: object, answer: Answer) -> Answer:
        document = json.loads(answer.body) | {"renewalInfo": "https://127.0.0.2/renewal-info"}
        return Answer(200, json.dumps(document).encode())

    ca = proxied.connect()
    proxy.edit = elsewhere
    assert code_of(lambda: ca.renewal_info("AQID.BAUG")) == ("ca_refused", True)


def test_a_predecessor_is_replaced_once(proxied: AcmeWorld, front: AriFront, proxy: AcmeProxy) -> None:
    assert proxied.connect().new_order(NAMES, replaces="AQID.BAUG").url
    assert front.replaced == ["AQID.BAUG"]
    assert proxied.connect().new_order(NAMES, replaces="AQID.BAUG").url
    assert "replaces" not in proxy.payloads("/order-plz")[-1]
    assert front.replaced == ["AQID.BAUG"]


@pytest.mark.parametrize("verdict", ["alreadyReplaced", "malformed", "unauthorized"])
def test_a_predecessor_that_is_refused_costs_no_order(
    proxied: AcmeWorld, front: AriFront, verdict: str
) -> None:
    front.verdict = verdict
    assert proxied.connect().new_order(NAMES, replaces="AQID.BAUG").url
    assert front.replaced == []


def test_a_profile_is_asked_for_where_the_ca_has_it(
    pebble_server: Pebble, front: AriFront, proxy: AcmeProxy
) -> None:
    def account() -> AcmeWorld:
        return AcmeWorld(pebble_server, proxy.directory_url, config={"profile": "shortlived"}).registered()

    account().connect().new_order(NAMES)
    assert "profile" not in proxy.payloads("/order-plz")[-1]
    front.meta = {"profiles": {"shortlived": "six days"}}
    account().connect().new_order(NAMES)
    assert proxy.payloads("/order-plz")[-1]["profile"] == "shortlived"


def test_the_domains_of_a_ca_are_read_leniently(proxied: AcmeWorld, front: AriFront) -> None:
    assert proxied.connect().caa_identities() == ()
    front.meta = {"caaIdentities": ["CA.example.", "ca.example.org", 7, "not a domain", "x" * 300]}
    assert proxied.connect().caa_identities() == ("ca.example", "ca.example.org", "7")


@pytest.mark.parametrize("error", [timedelta(0), timedelta(days=1), timedelta(days=-40)])
def test_the_clock_of_a_ca_is_heard(proxied: AcmeWorld, proxy: AcmeProxy, error: timedelta) -> None:
    proxy.clock_error = error
    seen = proxied.connect().server_time()
    assert seen is not None
    assert abs(seen - datetime.now(UTC) - error) < timedelta(seconds=5)


def test_the_clock_is_not_asked_again_for_a_while_whatever_ours_says(
    proxied: AcmeWorld, proxy: AcmeProxy
) -> None:
    ca = proxied.connect()
    ca.new_order(NAMES)
    before, real = len(proxy.requests), datetime.now(UTC)
    with time_machine.travel(real + timedelta(days=40)):
        seen = ca.server_time()
    assert seen is not None
    assert abs(seen - real) < timedelta(seconds=5)
    assert len(proxy.requests) == before


@pytest.mark.parametrize("text", ["", "yesterday", "Tue, 99 Nov 2026 13:00:00 GMT"])
def test_a_date_that_is_none_is_passed_over(text: str) -> None:
    clock = HeardClock()
    clock.hear({"Date": text})
    assert clock.now() is None
    clock.hear({"Date": format_datetime(START, usegmt=True)})
    clock.hear({"Date": text})
    assert clock.now(60) is not None

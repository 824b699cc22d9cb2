"""ACME when the CA is busy, strange or hostile."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from portal.adapters.ca.base import CaOrderState
from portal.adapters.errors import AdapterError
from portal.domain.keys import make_csr
from tests import pki
from tests.acme_proxy import AcmeProxy, Answer, Request, problem
from tests.adapters.ca.acme_faults import NAMES, failure_of, on, once, order
from tests.adapters.ca.acme_world import AcmeWorld
from tests.adapters.ca.contract import code_of, obtain


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_ca_says_when_to_come_back(proxied: AcmeWorld, proxy: AcmeProxy, status: int) -> None:
    kind = "rateLimited" if status == 429 else "serverInternal"
    proxy.rule = on("/order-plz", problem(kind, status, "later", Retry_After="3600"))
    failure = failure_of(order(proxied))
    assert failure.code == ("ca_rate_limited" if status == 429 else "ca_unavailable")
    assert not failure.permanent
    assert failure.not_before is not None
    assert abs(failure.not_before - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=10)
    assert len(proxy.payloads("/order-plz")) == 1


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("rateLimited", 403, ("ca_rate_limited", False)),
        ("accountDoesNotExist", 400, ("ca_account_gone", False)),
        ("unauthorized", 403, ("ca_refused", True)),
        ("userActionRequired", 403, ("ca_refused", True)),
        ("someNewKind", 400, ("ca_refused", True)),
        ("urn:example:other", 400, ("ca_refused", True)),
        ("dns", 400, ("ca_unavailable", False)),
        ("serverInternal", 500, ("ca_unavailable", False)),
        ("about:blank", 409, ("ca_unavailable", False)),
        ("badNonce", 400, ("ca_unavailable", False)),
    ],
)
def test_each_refusal_has_its_code(
    proxied: AcmeWorld, proxy: AcmeProxy, kind: str, status: int, expected: tuple[str, bool]
) -> None:
    proxy.rule = on("/order-plz", problem(kind, status))
    assert code_of(order(proxied)) == expected


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>not found</html>"),
        Answer(200, b"[]"),
        Answer(200, b'{"status": "odd", "authorizations": []}'),
        Answer(200, b'{"status": "pending", "authorizations": "many"}'),
        Answer(200, json.dumps({"status": "pending", "authorizations": ["x"] * 201}).encode()),
        Answer(200, b"{" + b" " * 300_000 + b"}"),
        Answer(502, b"\xff\xfe bad gateway"),
        Answer(drops=True),
    ],
)
def test_an_answer_that_makes_no_sense_is_tried_again_later(
    proxied: AcmeWorld, proxy: AcmeProxy, answer: Answer
) -> None:
    url = order(proxied)().url
    proxy.rule = on("/my-order/", answer)
    assert code_of(lambda: proxied.connect().get_order(url)) == ("ca_unavailable", False)


def test_the_words_of_a_ca_are_shortened_and_made_harmless(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    proxy.rule = on("/order-plz", problem("malformed", 400, "\x1b[31mred\r\nForged: line " + "x" * 1000))
    text = str(failure_of(order(proxied)))
    assert len(text) < 500
    assert text.isprintable()
    assert "Forged" in text


def test_errors_hold_no_key(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    proxy.rule = on("/order-plz", problem("malformed", 400, "no"))
    failure = failure_of(order(proxied))
    secret = proxied.secrets["account_key"].splitlines()[1]
    assert secret not in repr(failure) + str(failure) + repr(failure.params)


def test_a_predecessor_is_named(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    proxied.connect().new_order(NAMES, replaces="AQID.BAUG")
    assert proxy.payloads("/order-plz")[-1]["replaces"] == "AQID.BAUG"


@pytest.mark.parametrize(
    ("kind", "status"), [("alreadyReplaced", 409), ("malformed", 400), ("unauthorized", 403)]
)
def test_a_ca_that_refuses_the_predecessor_is_asked_once_more_without(
    proxied: AcmeWorld, proxy: AcmeProxy, kind: str, status: int
) -> None:
    def refuse(request: Request) -> Answer | None:
        names_one = request.path == "/order-plz" and "replaces" in (request.payload or {})
        return problem(kind, status) if names_one else None

    proxy.rule = refuse
    assert proxied.connect().new_order(NAMES, replaces="AQID.BAUG").url
    assert "replaces" not in proxy.payloads("/order-plz")[-1]


def test_a_rate_limit_is_no_refusal_of_the_predecessor(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    proxy.rule = on("/order-plz", problem("rateLimited", 429))
    assert code_of(lambda: proxied.connect().new_order(NAMES, replaces="AQID.BAUG"))[0] == "ca_rate_limited"
    assert len(proxy.payloads("/order-plz")) == 1


@pytest.mark.parametrize("path", ["/chalZ/", "/finalize-order/", "/order-plz", "/certZ/"])
def test_a_lost_answer_costs_no_second_certificate(proxied: AcmeWorld, proxy: AcmeProxy, path: str) -> None:
    """The server behind does its work; the client hears nothing of it, and takes the step again."""
    proxy.spoil = once(on(path, Answer(drops=True)))
    names = (f"{path.strip('/').lower()}.example.com",)
    before, csr = proxied.issued(), make_csr(names, pki.key())
    lost, url = 0, ""
    for _ in range(60):
        try:
            url = url or proxied.connect().new_order(names).url
            seen = proxied.connect().get_order(url)
            for one in (each for each in seen.authorizations if each.is_pending):
                proxied.connect().answer(proxied.prove(one))
            if seen.state is CaOrderState.READY:
                proxied.connect().finalize(url, csr)
            if seen.state is CaOrderState.VALID:
                proxied.connect().download(url, csr)
                break
        except AdapterError as error:
            assert error.code == "ca_unavailable"
            lost += 1
        time.sleep(0.05)
    assert lost == 1
    assert proxied.issued() == before + 1


def test_a_ca_that_is_busy_with_an_order_says_when_to_look_again(
    proxied: AcmeWorld, proxy: AcmeProxy
) -> None:
    url = order(proxied)().url
    proxy.rule = on("/my-order/", Answer(200, b'{"status": "processing"}', {"Retry-After": "120"}))
    seen = proxied.connect().get_order(url)
    assert seen.state is CaOrderState.PROCESSING
    assert seen.retry_at is not None
    assert timedelta(seconds=100) < seen.retry_at - datetime.now(UTC) < timedelta(seconds=130)


def test_an_existing_account_may_be_told_by_a_conflict(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    known = proxied.account_url or ""
    proxy.rule = on("/sign-me-up", problem("conflict", 409, Location=known))
    assert proxied.connect().register() == known


def test_a_whole_order_goes_through_the_proxy(proxied: AcmeWorld) -> None:
    names = ("whole.example.com",)
    assert obtain(proxied, names, make_csr(names, pki.key()))


def test_a_validation_that_takes_its_time_says_when_to_look_again(
    proxied: AcmeWorld, proxy: AcmeProxy
) -> None:
    url = order(proxied)().url
    body = b'{"status": "pending", "identifier": {"type": "dns", "value": "a.example.com"}, "challenges": []}'
    proxy.rule = on("/authZ/", Answer(200, body, {"Retry-After": "90"}))
    seen = proxied.connect().get_order(url)
    assert seen.retry_at is not None
    assert seen.retry_at > datetime.now(UTC) + timedelta(seconds=60)


def test_challenges_that_are_unknown_or_dangerous_are_passed_over(
    proxied: AcmeWorld, proxy: AcmeProxy
) -> None:
    url = order(proxied)().url
    tokens = ["../../../../etc/passwd-and-more", "short", "a" * 300, 7, None, "ü" * 30]
    challenges = [{"type": "http-01", "url": "https://x/1", "token": token} for token in tokens]
    challenges += [{"type": "dns-persist-01", "url": "https://x/2"}, {"type": "dns-01", "token": "A" * 22}]
    body = {
        "status": "pending",
        "identifier": {"type": "dns", "value": "a.example.com"},
        "challenges": challenges,
    }
    proxy.rule = on("/authZ/", Answer(200, json.dumps(body).encode()))
    assert proxied.connect().get_order(url).authorizations[0].challenges == ()

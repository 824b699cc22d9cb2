"""The sandbox's payment page and its notifications, through real sockets."""

from __future__ import annotations

import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from werkzeug.wrappers import Request, Response

from portal.adapters.errors import AdapterError
from portal.adapters.payment.base import PaymentRequest
from portal.adapters.payment.sandbox import PAY, SandboxGateway, sign
from portal.domain.money import Money
from portal.sandbox.payment import SandboxPayment
from portal.sandbox.serving import WebServer
from portal.settings import Settings
from tests.servers import wait_until

SECRET = "a-secret-for-tests"
QUICK = (0, 0.05)


@dataclass
class Merchant:
    """What a portal does with notifications: keeps them, and answers what the test says."""

    answers: list[tuple[int, str]] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Request) -> Response:
        if request.method == "POST":
            self.seen.append(request.form.to_dict())
        status, text = self.answers.pop(0) if self.answers else (200, "success")
        return Response(text, status)


@pytest.fixture
def merchant() -> Iterator[Merchant]:
    one = Merchant()
    server = WebServer(Request.application(one.answer))
    server.start("127.0.0.1", 0)
    one.url = server.url
    yield one
    server.stop()


@pytest.fixture
def payment(tmp_path) -> Iterator[SandboxPayment]:
    server = SandboxPayment(tmp_path / "payment", SECRET, QUICK)
    server.start("127.0.0.1", 0)
    yield server
    server.stop()


@pytest.fixture
def plain(tmp_path, payment) -> Settings:
    return Settings(
        tmp_path, "sqlite://", "unix:///nowhere", "key", {1: bytes(32)},
        payment_sandbox_url=payment.url, payment_sandbox_secret=SECRET,
    )  # fmt: skip


@pytest.fixture
def gateway(plain):
    return SandboxGateway(plain)


def asking(merchant, number="P1", fen=54_000, locale="en"):
    return PaymentRequest(
        number, Money(fen), "Hosting", f"{merchant.url}/back", f"{merchant.url}/notify", locale
    )


def decide(page_url, decision):
    """Press a button as a browser does: post the form's fields."""
    page = requests.get(page_url, timeout=5)
    assert page.status_code == 200
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    form = {name: unescape(value) for name, value in fields} | {"decision": decision}
    return requests.post(page_url.partition("?")[0], data=form, timeout=5, allow_redirects=False)


def test_paying_notifies_in_the_background_and_leads_back(payment, gateway, merchant):
    answer = decide(gateway.pay_url(asking(merchant)), "pay")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{merchant.url}/back")
    wait_until(lambda: merchant.seen)
    result = gateway.read_notification(merchant.seen[0])
    assert (result.merchant_number, result.amount, result.is_paid) == ("P1", Money(54_000), True)
    assert gateway.query("P1") == result


def test_refusing_tells_that_nothing_was_paid(gateway, merchant):
    decide(gateway.pay_url(asking(merchant)), "refuse")
    wait_until(lambda: merchant.seen)
    assert not gateway.read_notification(merchant.seen[0]).is_paid


def test_notifying_is_repeated_until_the_answer_is_exactly_success(gateway, merchant):
    merchant.answers = [(500, "success"), (200, "SUCCESS"), (200, "success\n"), (200, "success")]
    decide(gateway.pay_url(asking(merchant)), "pay")
    wait_until(lambda: len(merchant.seen) == 4)
    threading.Event().wait(0.2)
    assert len(merchant.seen) == 4
    assert len({one["trade_no"] for one in merchant.seen}) == 1


def test_a_restart_takes_up_what_was_not_taken_in(payment, gateway, merchant, tmp_path):
    merchant.answers = [(503, "")] * 1000
    decide(gateway.pay_url(asking(merchant)), "pay")
    wait_until(lambda: merchant.seen)
    payment.stop()
    merchant.answers.clear()
    merchant.seen.clear()
    again = SandboxPayment(tmp_path / "payment", SECRET, QUICK)
    again.start("127.0.0.1", 0)
    try:
        wait_until(lambda: merchant.seen)
        assert gateway.read_notification(merchant.seen[0]).is_paid
    finally:
        again.stop()


def test_the_first_decision_counts(gateway, merchant):
    url = gateway.pay_url(asking(merchant))
    form = dict(parse_qsl(urlsplit(url).query))
    for decision in ("pay", "refuse", "pay"):
        requests.post(
            url.partition("?")[0], data=form | {"decision": decision}, timeout=5, allow_redirects=False
        )
    assert gateway.query("P1").is_paid
    assert "This payment has been made." in requests.get(url, timeout=5).text


@pytest.mark.parametrize("name", ["total_amount", "out_trade_no", "notify_url", "return_url", "app_id"])
def test_an_address_tampered_with_opens_nothing(gateway, merchant, name):
    url = gateway.pay_url(asking(merchant))
    message = dict(parse_qsl(urlsplit(url).query)) | {name: "0.01"}
    page = url.partition("?")[0]
    assert requests.get(f"{page}?{urlencode(message)}", timeout=5).status_code == 400
    posted = requests.post(page, data=message | {"decision": "pay"}, timeout=5, allow_redirects=False)
    assert posted.status_code == 400
    assert gateway.query("P1") is None
    assert merchant.seen == []


def test_an_old_address_is_refused(gateway, merchant):
    message = dict(parse_qsl(urlsplit(gateway.pay_url(asking(merchant))).query))
    old = sign(message | {"timestamp": "2020-01-01T00:00:00Z", "method": PAY}, SECRET)
    page = gateway.pay_url(asking(merchant)).partition("?")[0]
    assert requests.get(f"{page}?{urlencode(old)}", timeout=5).status_code == 400


def test_a_notification_does_not_serve_for_another_payment(gateway, merchant):
    decide(gateway.pay_url(asking(merchant)), "pay")
    wait_until(lambda: merchant.seen)
    with pytest.raises(AdapterError, match="payment_not_genuine"):
        gateway.read_notification(merchant.seen[0] | {"out_trade_no": "P2"})
    assert gateway.query("P2") is None


def test_a_payment_is_known_to_its_own_merchant_only(gateway, plain, merchant):
    decide(gateway.pay_url(asking(merchant)), "pay")
    assert SandboxGateway(replace(plain, base_url="http://another.example")).query("P1") is None


def test_an_unsigned_query_is_refused(payment):
    form = {"app_id": "127.0.0.1:8080", "out_trade_no": "P1", "method": "trade.query", "sign": "0" * 64}
    assert requests.post(f"{payment.url}/query", data=form, timeout=5).status_code == 403


def test_a_query_signed_with_another_secret_is_a_permanent_refusal(plain):
    with pytest.raises(AdapterError, match="payment_refused") as refused:
        SandboxGateway(replace(plain, payment_sandbox_secret="another")).query("P1")
    assert refused.value.permanent


def test_the_page_speaks_the_customers_language_and_shows_the_amount(gateway, merchant):
    chinese = requests.get(gateway.pay_url(asking(merchant, locale="zh_Hans")), timeout=5)
    english = requests.get(gateway.pay_url(asking(merchant, locale="en")), timeout=5)
    assert "沙箱支付" in chinese.content.decode()
    assert "Sandbox Pay" in english.text
    assert "540.00" in english.text
    assert "unsafe-inline" not in english.headers["Content-Security-Policy"]


def test_a_subject_cannot_write_markup(gateway, merchant):
    request = replace(asking(merchant), subject="<script>alert(1)</script>")
    assert "<script>" not in requests.get(gateway.pay_url(request), timeout=5).text


def test_the_folder_is_private(gateway, merchant, tmp_path):
    gateway_folder: Path = tmp_path / "payment"
    decide(gateway.pay_url(asking(merchant)), "pay")
    assert stat.S_IMODE(gateway_folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in gateway_folder.glob("*.json")} == {0o600}


def test_an_empty_secret_is_refused(tmp_path):
    with pytest.raises(ValueError, match="secret"):
        SandboxPayment(tmp_path, "")

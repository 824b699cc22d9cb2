"""The sandbox gateway's client, and what it refuses to believe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from portal.adapters.errors import AdapterError
from portal.adapters.payment.base import PaymentRequest
from portal.adapters.payment.registry import connect
from portal.adapters.payment.sandbox import ANSWER, NOTIFY, PAY, is_genuine, sign
from portal.domain.money import Money
from portal.settings import Settings

SECRET = "a-secret-for-tests"
NOTIFICATION = {
    "app_id": "portal.example:8080",
    "method": NOTIFY,
    "timestamp": "2026-11-24T05:00:00Z",
    "out_trade_no": "P1001",
    "trade_no": "SBX1",
    "total_amount": "540.00",
    "currency": "CNY",
    "trade_status": "TRADE_SUCCESS",
}


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    return Settings(
        tmp_path, "sqlite://", "unix:///nowhere", "key", {1: bytes(32)},
        base_url="http://portal.example:8080",
        payment_sandbox_url="http://127.0.0.1:9",
        payment_sandbox_secret=SECRET,
    )  # fmt: skip


@pytest.fixture
def gateway(plain):
    return connect("sandbox", plain)


def test_a_genuine_notification_is_read(gateway):
    result = gateway.read_notification(sign(NOTIFICATION, SECRET))
    assert (result.merchant_number, result.trade_number) == ("P1001", "SBX1")
    assert result.amount == Money(54_000)
    assert result.is_paid


def test_a_refused_payment_is_read_as_unpaid(gateway):
    assert not gateway.read_notification(
        sign(NOTIFICATION | {"trade_status": "TRADE_CLOSED"}, SECRET)
    ).is_paid


def test_a_wrong_amount_reaches_the_caller_who_compares_it(gateway):
    result = gateway.read_notification(sign(NOTIFICATION | {"total_amount": "0.01"}, SECRET))
    assert result.amount == Money(1)


@pytest.mark.parametrize("name", sorted(NOTIFICATION))
def test_a_notification_tampered_with_is_refused(gateway, name):
    tampered = sign(NOTIFICATION, SECRET) | {name: "P1002"}
    with pytest.raises(AdapterError, match="payment_not_genuine") as refused:
        gateway.read_notification(tampered)
    assert refused.value.permanent


@pytest.mark.parametrize(
    "change",
    [
        {"app_id": "another.example"},
        {"method": ANSWER},
        {"method": PAY},
        {"total_amount": "5,40"},
        {"total_amount": "-540.00"},
    ],
)
def test_a_signed_message_of_another_app_or_kind_is_refused(gateway, change):
    with pytest.raises(AdapterError, match="payment_not_genuine"):
        gateway.read_notification(sign(NOTIFICATION | change, SECRET))


@pytest.mark.parametrize("given", ["", "0" * 64, "ü", sign(NOTIFICATION, "another secret")["sign"]])
def test_a_wrong_signature_is_refused(gateway, given):
    with pytest.raises(AdapterError, match="payment_not_genuine"):
        gateway.read_notification(NOTIFICATION | {"sign": given})


def test_a_notification_without_a_field_is_refused(gateway):
    short = {name: value for name, value in NOTIFICATION.items() if name != "trade_no"}
    with pytest.raises(AdapterError, match="payment_not_genuine"):
        gateway.read_notification(sign(short, SECRET))


def test_parameters_cannot_slide_into_each_other():
    assert sign({"a": "1&b=2"}, SECRET)["sign"] != sign({"a": "1", "b": "2"}, SECRET)["sign"]


def test_the_pay_address_is_signed_and_says_everything(gateway):
    url = gateway.pay_url(
        PaymentRequest(
            "P1001",
            Money(54_000),
            "托管 shop.example.com & more",
            "http://portal.example/back?order=1",
            "http://portal.example/notify",
            "zh_Hans",
        )
    )
    message = dict(parse_qsl(urlsplit(url).query))
    assert url.startswith("http://127.0.0.1:9/pay?")
    assert is_genuine(message, SECRET, PAY)
    assert message["total_amount"] == "540.00"
    assert message["app_id"] == "portal.example:8080"
    assert message["subject"] == "托管 shop.example.com & more"
    assert SECRET not in url


def test_without_a_secret_nothing_is_signed_or_believed(plain):
    gateway = connect("sandbox", replace(plain, payment_sandbox_secret=""))
    with pytest.raises(AdapterError, match="payment_not_configured"):
        gateway.read_notification(sign(NOTIFICATION, ""))
    with pytest.raises(AdapterError, match="payment_not_configured"):
        gateway.query("P1001")


def test_a_gateway_that_is_away_is_a_temporary_failure(gateway):
    with pytest.raises(AdapterError, match="payment_unavailable") as away:
        gateway.query("P1001")
    assert not away.value.permanent
    assert SECRET not in str(away.value)

"""The server that stands in for Alibaba Cloud refuses what the real one refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
import requests

from tests.aliyun.signature import Request, signature_of
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer
from tests.servers import stop

SIGNED = ["content-type", "host", "x-acs-action", "x-acs-content-sha256", "x-acs-date"]
SIGNED += ["x-acs-signature-nonce", "x-acs-version"]


@pytest.fixture
def server() -> Iterator[AliyunServer]:
    with AliyunServer() as started:
        yield started


def signed(server: AliyunServer, action: str = "DescribeUserDomains", body: bytes = b"PageSize=1") -> Request:
    """A request without its signature."""
    headers = {
        "host": server.url.removeprefix("http://"),
        "content-type": "application/x-www-form-urlencoded",
        "x-acs-action": action,
        "x-acs-version": "2018-05-10",
        "x-acs-date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": sha256(action.encode() + body).hexdigest(),
        "x-acs-content-sha256": sha256(body).hexdigest(),
    }
    return Request("POST", "/", "", headers, body)


def send(
    server: AliyunServer, request: Request, secret: str = ACCESS_KEY_SECRET, **change: Any
) -> tuple[int, str]:
    """Sign, then change what is named, then send: status and error code."""
    names = change.pop("signed_names", SIGNED)
    signature = signature_of(request, names, secret)
    key_id = change.pop("key_id", ACCESS_KEY_ID)
    scheme = f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={';'.join(names)},Signature={signature}"
    sent = replace(request, **change)
    headers = {**sent.headers, "authorization": scheme}
    answer = requests.post(f"{server.url}/?{sent.query}", data=sent.body, headers=headers, timeout=5)
    return answer.status_code, answer.json().get("Code", "")


def test_the_published_example_of_a_signature_is_reproduced() -> None:
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": sha256(b"").hexdigest(),
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    signature = signature_of(Request("POST", "/", query, headers, b""), list(headers), "YourAccessKeySecret")
    assert signature == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"


def test_a_good_signature_is_taken(server: AliyunServer) -> None:
    assert send(server, signed(server)) == (200, "")


def test_a_wrong_secret_is_refused(server: AliyunServer) -> None:
    assert send(server, signed(server), secret="another") == (400, "SignatureDoesNotMatch")


def test_an_unknown_key_and_a_switched_off_key_are_refused(server: AliyunServer) -> None:
    assert send(server, signed(server), key_id="nobody") == (404, "InvalidAccessKeyId.NotFound")
    server.signatures.inactive.add(ACCESS_KEY_ID)
    assert send(server, signed(server)) == (403, "InvalidAccessKeyId.Inactive")


def test_a_changed_body_and_a_changed_query_are_refused(server: AliyunServer) -> None:
    assert send(server, signed(server), body=b"PageSize=2") == (400, "SignatureDoesNotMatch")
    assert send(server, signed(server), query="PageSize=2") == (400, "SignatureDoesNotMatch")


def test_a_header_that_must_be_signed_is_missed(server: AliyunServer) -> None:
    names = [name for name in SIGNED if name != "x-acs-action"]
    assert send(server, signed(server), signed_names=names) == (400, "SignatureDoesNotMatch")


def test_a_nonce_is_good_once(server: AliyunServer) -> None:
    assert send(server, signed(server)) == (200, "")
    assert send(server, signed(server)) == (400, "SignatureNonceUsed")


@pytest.mark.parametrize("away", [timedelta(minutes=-16), timedelta(minutes=16)])
def test_a_time_a_quarter_of_an_hour_away_is_refused(server: AliyunServer, away: timedelta) -> None:
    request = signed(server)
    headers = {**request.headers, "x-acs-date": f"{datetime.now(UTC) + away:%Y-%m-%dT%H:%M:%SZ}"}
    assert send(server, replace(request, headers=headers)) == (400, "InvalidTimeStamp.Expired")


def test_no_signature_and_no_such_action_are_refused(server: AliyunServer) -> None:
    answer = requests.post(server.url, data=b"", timeout=5)
    assert (answer.status_code, answer.json()["Code"]) == (400, "IncompleteSignature")
    assert send(server, signed(server, action="DropTables")) == (404, "InvalidAction.NotFound")


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.aliyun_server", "--domain", "shop.example.com"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        answer = requests.post(told["url"], data=b"", timeout=5)
        stop(process)
    assert answer.json()["Code"] == "IncompleteSignature"
    assert process.returncode == 0

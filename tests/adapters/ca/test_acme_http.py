"""The connection to an ACME server: time, trust, and where it may lead."""

from __future__ import annotations

import json
import time

import pytest

from tests import pki
from tests.acme_proxy import AcmeProxy, Answer, Request
from tests.adapters.ca.acme_faults import NAMES, client, failure_of, on, once, order
from tests.adapters.ca.acme_world import AcmeWorld
from tests.adapters.ca.contract import code_of
from tests.servers import listening_socket


def test_a_ca_that_is_away_is_unavailable() -> None:
    with listening_socket() as sock:
        port = sock.getsockname()[1]
    assert code_of(client(f"https://127.0.0.1:{port}/dir").register) == ("ca_unavailable", False)


def test_a_ca_whose_name_does_not_resolve_is_unavailable() -> None:
    assert code_of(client("https://ca.invalid/dir").register) == ("ca_unavailable", False)


def test_a_black_hole_is_left_in_time() -> None:
    with listening_socket() as sock:
        began = time.monotonic()
        silent = client(f"https://127.0.0.1:{sock.getsockname()[1]}/dir", timeout=0.5)
        assert code_of(silent.register) == ("ca_unavailable", False)
        assert time.monotonic() - began < 3


def test_a_directory_that_is_not_trusted_is_not_spoken_to(proxied: AcmeWorld) -> None:
    stranger = pki.test_ca().certificate
    untrusting = client(proxied.directory_url, pki.to_pem([stranger]))
    failure = failure_of(untrusting.register)
    assert (failure.code, failure.permanent) == ("ca_unavailable", False)
    assert "trusted" in str(failure)


@pytest.mark.parametrize("url", ["http://127.0.0.1/dir", "ftp://x/", "", "https://", "directory"])
def test_a_directory_without_https_is_refused(url: str) -> None:
    assert code_of(lambda: client(url)) == ("ca_refused", True)


def test_a_redirect_is_not_followed(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    proxy.rule = on("/order-plz", Answer(307, b"", {"Location": "https://127.0.0.1:1/order"}))
    assert code_of(order(proxied)) == ("ca_refused", True)


def test_an_address_on_another_host_is_not_asked(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    url = order(proxied)().url
    with listening_socket() as elsewhere:
        elsewhere.setblocking(False)
        address = f"https://127.0.0.1:{elsewhere.getsockname()[1]}/latest/meta-data"
        body = json.dumps({"status": "pending", "authorizations": [address]}).encode()
        proxy.rule = on("/my-order/", Answer(200, body))
        assert code_of(lambda: proxied.connect().get_order(url)) == ("ca_refused", True)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_one_connection_serves_all_the_requests_of_a_client(proxied: AcmeWorld) -> None:
    ca = proxied.connect()
    for _ in range(3):
        ca.new_order(NAMES)
    pool = ca._net.connection._pool
    assert pool.num_connections == 1


def test_a_connection_that_the_ca_closed_is_opened_anew(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    ca = proxied.connect()
    ca.new_order(NAMES)
    proxy.rule = once(on("/order-plz", Answer(503, b"", {"Connection": "close"})))
    failure_of(lambda: ca.new_order(NAMES))
    assert ca.new_order(NAMES).url


def test_a_slow_answer_is_given_up_in_time(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    def dawdle(request: Request) -> Answer | None:
        if request.path == "/order-plz":
            time.sleep(1.5)
        return None

    proxied.timeout = 0.7
    proxy.rule = dawdle
    began = time.monotonic()
    assert code_of(order(proxied)) == ("ca_unavailable", False)
    assert time.monotonic() - began < 1.4

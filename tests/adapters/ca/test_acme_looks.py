"""What a client remembers of an order for the steps of one drive, and what it never answers from memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from portal.adapters.ca.acme import AcmeCa
from portal.adapters.ca.acme_looks import Looks
from portal.adapters.ca.base import CaOrderState
from portal.domain.certificate import split_pem
from portal.domain.keys import make_csr
from tests import pki
from tests.acme_proxy import AcmeProxy, Answer, problem
from tests.adapters.ca.acme_faults import NAMES, failure_of, on, once
from tests.adapters.ca.acme_world import AcmeWorld
from tests.adapters.ca.conftest import NO_REUSE
from tests.adapters.ca.contract import code_of
from tests.pebble import Pebble, pebble
from tests.servers import wait_until


@pytest.fixture(scope="module")
def pebble_server() -> Iterator[Pebble]:
    """One that refuses no nonce, so that requests can be counted."""
    with pebble(environment={**NO_REUSE, "PEBBLE_VA_ALWAYS_VALID": "1"}) as server:
        yield server


def kinds(proxy: AcmeProxy, since: int) -> Counter[str]:
    """How often each kind of resource was asked for."""
    return Counter(one.path.split("/")[1] for one in proxy.requests[since:])


def leave(ca: AcmeCa, url: str, state: CaOrderState) -> None:
    wait_until(lambda: ca.get_order(url).state is not state, 15, f"the order to leave {state}")


def to_ready(ca: AcmeCa) -> str:
    """Each step looks at the order, as the steps of a renewal do."""
    url = ca.new_order(NAMES).url
    ca.get_order(url)
    for authorization in ca.get_order(url).authorizations:
        ca.answer(authorization.challenges[0])
    leave(ca, url, CaOrderState.PENDING)
    return url


def test_no_step_asks_for_what_the_one_before_has_seen(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    ca = proxied.connect()
    ca.server_time()
    since = len(proxy.requests)
    url = to_ready(ca)
    csr = make_csr(NAMES, pki.key())
    assert ca.get_order(url).state is CaOrderState.READY
    ca.finalize(url, csr)
    leave(ca, url, CaOrderState.PROCESSING)
    assert split_pem(ca.download(url, csr))
    counted = kinds(proxy, since)
    assert counted.pop("my-order") >= 2
    wanted = {"order-plz": 1, "authZ": 1, "chalZ": 1, "finalize-order": 1, "certZ": 1}
    assert {kind: count for kind, count in counted.items() if kind != "nonce-plz"} == wanted


def test_a_busy_order_is_asked_for_every_time(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    ca = proxied.connect()
    url = ca.new_order(NAMES).url
    for authorization in ca.get_order(url).authorizations:
        ca.answer(authorization.challenges[0])
    leave(ca, url, CaOrderState.PENDING)
    proxy.rule = on("/my-order/", Answer(200, b'{"status": "processing"}'))
    ca._looks.forget()
    since = len(proxy.requests)
    for _ in range(3):
        assert ca.get_order(url).state is CaOrderState.PROCESSING
    assert kinds(proxy, since)["my-order"] == 3


def test_a_pending_order_is_asked_for_anew_once_a_challenge_was_answered(
    proxied: AcmeWorld, proxy: AcmeProxy
) -> None:
    ca = proxied.connect()
    url = ca.new_order(NAMES).url
    seen = ca.get_order(url)
    proxy.rule = on("/chalZ/", Answer(200, b"{}"))
    ca.answer(seen.authorizations[0].challenges[0])
    since = len(proxy.requests)
    for _ in range(3):
        ca.get_order(url)
    assert kinds(proxy, since)["my-order"] == 3


def test_the_names_of_a_ready_order_are_valid(proxied: AcmeWorld) -> None:
    ca = proxied.connect()
    seen = ca.get_order(to_ready(ca))
    assert seen.state is CaOrderState.READY
    assert [one.state for one in seen.authorizations] == ["valid"]
    assert seen.authorizations[0].challenges


def test_why_an_order_failed_is_looked_at_anew(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    ca = proxied.connect()
    url = ca.new_order(NAMES).url
    first = ca.get_order(url).authorizations[0]
    ca._looks.note_answer()
    body = {"status": "invalid", "authorizations": [first.url]}
    error = {"type": "urn:ietf:params:acme:error:dns", "detail": "no TXT record"}
    failed = {"status": "invalid", "identifier": {"type": "dns", "value": NAMES[0]}}
    failed["challenges"] = [{"type": "dns-01", "url": first.url, "token": "A" * 43, "error": error}]  # type: ignore[assignment]
    answers = {"my-order": json.dumps(body).encode(), "authZ": json.dumps(failed).encode()}
    proxy.rule = lambda request: (
        Answer(200, answers[kind]) if (kind := request.path.split("/")[1]) in answers else None
    )
    seen = ca.get_order(url)
    assert (seen.state, seen.authorizations[0].error) == (CaOrderState.INVALID, "dns: no TXT record")


def test_an_order_that_somebody_finalized_meanwhile_is_taken_as_it_is(
    proxied: AcmeWorld, proxy: AcmeProxy
) -> None:
    """Another process had the row before: the server says orderNotReady, and one certificate comes of it."""
    before, csr = proxied.issued(), make_csr(NAMES, pki.key())
    ca = proxied.connect()
    url = to_ready(ca)
    other = proxied.connect()
    other.finalize(url, csr)
    leave(other, url, CaOrderState.PROCESSING)
    assert ca.finalize(url, csr).state is CaOrderState.VALID
    assert ca.download(url, csr) == other.download(url, csr)
    assert proxied.issued() == before + 1


def test_nothing_is_remembered_of_an_order_whose_finalizing_failed(
    proxied: AcmeWorld, proxy: AcmeProxy
) -> None:
    ca, csr = proxied.connect(), make_csr(NAMES, pki.key())
    url = to_ready(ca)
    proxy.spoil = once(on("/finalize-order/", Answer(drops=True)))
    assert code_of(lambda: ca.finalize(url, csr)) == ("ca_unavailable", False)
    leave(ca, url, CaOrderState.PROCESSING)
    assert ca.get_order(url).state is CaOrderState.VALID


def test_a_memory_runs_out(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    ca = proxied.connect()
    ca._looks = Looks(age=-1.0)
    url = ca.new_order(NAMES).url
    since = len(proxy.requests)
    ca.get_order(url)
    ca.get_order(url)
    assert kinds(proxy, since) == {"my-order": 2, "authZ": 2}


def test_few_orders_are_remembered(proxied: AcmeWorld) -> None:
    ca = proxied.connect()
    for _ in range(20):
        ca.new_order(NAMES)
    assert len(ca._looks._known) == 16


def test_an_order_that_vanishes_within_the_memory_is_gone(proxied: AcmeWorld, proxy: AcmeProxy) -> None:
    ca = proxied.connect()
    url = to_ready(ca)
    proxy.rule = on("/finalize-order/", problem("malformed", 404))
    csr = make_csr(NAMES, pki.key())
    assert failure_of(lambda: ca.finalize(url, csr)).code == "ca_order_gone"

"""Faults 18 and 19: the CA answers with a certificate that was not ordered; the customer breaks the proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.notice import Notice
from portal.services import validating
from tests import pki
from tests.acme_proxy import Answer, Request, acme_proxy
from tests.faults.world import World, done
from tests.pebble import Pebble, pebble
from tests.servers import listening_socket, web_server

NAME = "shop.example.com"
DAY = timedelta(days=1)


def other_chain(**making: Any) -> Callable[[bytes], bytes]:
    """A chain that some other CA might have made, instead of the right one."""
    return lambda _right: pki.make_certificate(**{"names": [NAME], **making}).fullchain_pem.encode()


def without_issuer(right: bytes) -> bytes:
    return right.split(b"-----END CERTIFICATE-----")[0] + b"-----END CERTIFICATE-----\n"


SWAPS = {
    "another key": other_chain(),
    "a missing name": other_chain(names=["other.example.com"]),
    "expired": other_chain(expires_in=timedelta(days=-1)),
    "no certificate": lambda _right: b"<html>busy</html>",
}


@pytest.mark.parametrize("swap", SWAPS)
def test_fault_18_what_was_not_ordered_is_refused_and_the_old_certificate_is_kept(
    world: World, acme: Pebble, swap: str
) -> None:
    def edit(request: Request, answer: Answer) -> Answer:
        is_chain = request.path.startswith("/certZ/") and answer.status == 200
        return replace(answer, body=SWAPS[swap](answer.body)) if is_chain else answer

    world.issued = acme.issued
    with acme_proxy(acme.directory_url) as proxy:
        proxy.edit = edit
        world.pay_for(NAME, world.acme_account(proxy.directory_url, acme.ca_bundle))
        world.settle(timedelta(hours=2))
        renewal = world.renewal()
        assert (renewal.state, renewal.successor_id) == (RenewalState.FINALIZING, None)
        assert renewal.stopped_at is not None
        assert told(NoticeKind.ACTION_REQUIRED) == 2  # the owner and the operator, once
        assert renewal.hosting.state is HostingState.HOSTED
        assert renewal.hosting.certificate_id == renewal.predecessor_id
        assert db.session.scalar(select(func.count()).select_from(Certificate)) == 1
        proxy.edit = lambda _request, answer: answer
        world.settle(DAY)
        done(world)
        assert len(acme.issued()) == 1
        world.check()


def told(kind: NoticeKind) -> int:
    query = select(func.count()).select_from(Notice).where(Notice.kind == kind)
    return db.session.scalar(query) or 0


@pytest.fixture
def website(world: World) -> Iterator[Website]:
    with listening_socket() as listener:
        site = Website(world, listener.getsockname()[1])
        with web_server(site, listener):
            yield site


class Website:
    """The customer's, which hands questions for proofs on to us, unless it `is_broken`. `asked` counts them."""

    def __init__(self, world: World, port: int) -> None:
        self.port = port
        self.is_broken = True
        self.asked = 0
        self._world = world

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked += 1
        token = environ["PATH_INFO"].rpartition("/")[2]
        with self._world.app.app_context():
            found = None if self.is_broken else validating.find_response(token)
            db.session.remove()
        start_response("200 OK" if found else "404 Not Found", [("Content-Type", "text/plain")])
        return [(found or "not here").encode()]


def test_fault_19_a_customer_who_broke_the_proof_is_told_and_the_ca_is_not_asked_again_and_again(
    world: World, website: Website
) -> None:
    """Let's Encrypt allows five failures an hour for a name; we fail once a day."""
    strict = {"PEBBLE_AUTHZREUSE": "0"}
    with pebble(environment=strict, http_port=website.port, validity_seconds=199 * 24 * 3600) as server:
        world.issued = server.issued
        world.pay_for(NAME, world.acme_account(server.directory_url, server.ca_bundle))
        world.settle(timedelta(hours=1))
        renewal = world.renewal()
        assert (renewal.state, renewal.error_code) == (RenewalState.KEYED, "validation_failed")
        assert (renewal.error_params or {})["name"] == NAME
        assert renewal.stopped_at is not None
        assert told(NoticeKind.ACTION_REQUIRED) == 2
        assert failures(server) < 5
        first_hour = failures(server)
        world.settle(DAY)
        assert failures(server) <= first_hour + 2
        website.is_broken = False
        world.settle(DAY)
        done(world)
        assert len(server.issued()) == 1
        world.check()


def failures(server: Pebble) -> int:
    """Failed checks, as the CA counts them: one for each authorization."""
    return server.log.count("set INVALID")

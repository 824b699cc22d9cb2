"""Pebble, for the tests of ACME."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acme_proxy import AcmeProxy
from tests.adapters.ca.acme_world import AcmeWorld
from tests.ari_front import AriFront, ari_front
from tests.pebble import Pebble, pebble

#: Authorizations are never reused, so that every order has something to prove.
NO_REUSE = {"PEBBLE_AUTHZREUSE": "0"}


@pytest.fixture(scope="session")
def pebble_server() -> Iterator[Pebble]:
    """One in five nonces is refused."""
    with pebble(nonce_reject=20, environment=NO_REUSE, blocklist=["b.test"]) as server:
        yield server


@pytest.fixture
def front(pebble_server: Pebble) -> Iterator[AriFront]:
    """Renewal information in front of it."""
    with ari_front(pebble_server.directory_url) as running:
        yield running


@pytest.fixture
def proxy(front: AriFront) -> AcmeProxy:
    """The proxy that everything passes."""
    return front.proxy


@pytest.fixture
def world(pebble_server: Pebble) -> AcmeWorld:
    """A registered account."""
    return AcmeWorld(pebble_server, pebble_server.directory_url).registered()


@pytest.fixture
def proxied(pebble_server: Pebble, proxy: AcmeProxy) -> AcmeWorld:
    """A registered account whose every request passes the proxy."""
    return AcmeWorld(pebble_server, proxy.directory_url).registered()

"""What a CA remembers of one customer's proofs, where every order may use those of the one before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.adapters.ca.base import CaOrder
from portal.domain.keys import make_csr
from tests import pki
from tests.adapters.ca.acme_world import AcmeWorld
from tests.adapters.ca.contract import obtain
from tests.pebble import Pebble, pebble


@pytest.fixture(scope="module")
def remembering() -> Iterator[Pebble]:
    with pebble(environment={"PEBBLE_AUTHZREUSE": "100"}) as server:
        yield server


def order_of(world: AcmeWorld, names: tuple[str, ...]) -> CaOrder:
    return world.connect().get_order(world.connect().new_order(names).url)


def issue(world: AcmeWorld, names: tuple[str, ...]) -> str:
    """The URL of an order that is valid; its proofs are used up here."""
    csr = make_csr(names, pki.key())
    obtain(world, names, csr)
    url = world.connect().new_order(names).url
    assert all(one.is_valid for one in world.connect().get_order(url).authorizations)
    world.connect().finalize(url, csr)
    return url


def test_proofs_that_were_forgotten_spare_no_later_order(remembering: Pebble) -> None:
    world = AcmeWorld(remembering, remembering.directory_url).registered()
    names = ("kept.example.com", "*.kept.example.com")
    url = issue(world, names)
    for _ in range(2):
        world.connect().forget_proofs(url)
    assert all(one.is_pending for one in order_of(world, names).authorizations)


def test_an_installation_of_one_customer_may_keep_them(remembering: Pebble) -> None:
    world = AcmeWorld(remembering, remembering.directory_url, config={"keep_proofs": "yes"}).registered()
    names = ("one.example.com",)
    world.connect().forget_proofs(issue(world, names))
    assert all(one.is_valid for one in order_of(world, names).authorizations)

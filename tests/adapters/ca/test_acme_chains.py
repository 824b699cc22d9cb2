"""Alternate chains: found by their links, chosen by the issuer at their end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from portal.adapters.ca.acme_chains import alternates
from portal.domain.certificate import split_pem
from portal.domain.keys import make_csr
from tests import pki
from tests.acme_proxy import acme_proxy, problem
from tests.adapters.ca.acme_faults import on
from tests.adapters.ca.acme_world import AcmeWorld
from tests.adapters.ca.conftest import NO_REUSE
from tests.adapters.ca.contract import obtain
from tests.pebble import Pebble, pebble

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def many_roots() -> Iterator[Pebble]:
    environment = {**NO_REUSE, "PEBBLE_ALTERNATE_ROOTS": "2", "PEBBLE_CHAIN_LENGTH": "2"}
    with pebble(environment=environment) as server:
        yield server


def end_of(chain: str) -> str:
    """The common name of the root that a chain ends under."""
    issuer = x509.load_pem_x509_certificates(chain.encode())[-1].issuer
    return str(issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def chain_of(server: Pebble, url: str, preferred: str | None = None) -> str:
    config = {"preferred_chain": preferred} if preferred else {}
    world = AcmeWorld(server, url, config=config).registered()
    names = (f"chain{next(_NUMBERS)}.example.com",)
    return obtain(world, names, make_csr(names, pki.key()))


def offered(server: Pebble) -> set[str]:
    """The ends of all chains of one certificate."""
    world = AcmeWorld(server, server.directory_url).registered()
    names = (f"chain{next(_NUMBERS)}.example.com",)
    obtain(world, names, make_csr(names, pki.key()))
    ca = world.connect()
    base = server.directory_url.removesuffix("/dir")
    serial = server.issued()[-1]
    ca._net.restart_clock()
    chains = [ca._net.post(f"{base}/certZ/{serial}/alternate/{number}", None) for number in (1, 2)]
    chains.append(ca._net.post(f"{base}/certZ/{serial}", None))
    return {end_of(one.body.decode()) for one in chains}


def test_the_chain_that_is_preferred_is_taken(many_roots: Pebble) -> None:
    ends = offered(many_roots)
    assert len(ends) == 3
    for end in ends:
        chain = chain_of(many_roots, many_roots.directory_url, end)
        assert end_of(chain) == end
        assert len(split_pem(chain)) == 3


def test_a_chain_that_the_ca_does_not_have_is_done_without(many_roots: Pebble) -> None:
    ends = offered(many_roots)
    assert end_of(chain_of(many_roots, many_roots.directory_url, "No such root")) in ends


def test_an_alternate_that_cannot_be_fetched_is_passed_over(many_roots: Pebble) -> None:
    with acme_proxy(many_roots.directory_url) as proxy:
        refusal = on("/certZ/", problem("serverInternal", 500))
        proxy.rule = lambda request: refusal(request) if "/alternate/" in request.path else None
        assert split_pem(chain_of(many_roots, proxy.directory_url, "No such root"))


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('<https://ca/1>;rel="alternate"', ("https://ca/1",)),
        ("<https://ca/1>; rel=alternate", ("https://ca/1",)),
        ('<https://ca/dir>;rel="index", <https://ca/1>;rel="alternate"', ("https://ca/1",)),
        ('<https://ca/a,b>;title="x, y";rel="alternate"', ("https://ca/a,b",)),
        ('<https://ca/1>;rel="up alternate"', ("https://ca/1",)),
        ('<https://ca/1>;rel="alternately"', ()),
        ('<https://ca/1>;title="alternate"', ()),
        (", ".join(f'<https://ca/{n}>;rel="alternate"' for n in range(30)), None),
        ("", ()),
        ("<" * 2000, ()),
    ],
)
def test_links_are_read(link: str, expected: tuple[str, ...] | None) -> None:
    found = alternates({"Link": link})
    assert found == expected if expected is not None else len(found) == 8

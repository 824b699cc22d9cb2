"""What every certificate authority must do: a suite that the tests of each implementation inherit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from portal.adapters.ca.base import Authorization, CaOrder, CaOrderState, CertificateAuthority, Challenge
from portal.adapters.errors import AdapterError
from portal.domain.certificate import split_pem
from portal.domain.issuance import Ordered, check_issued
from portal.domain.keys import make_csr
from tests import pki
from tests.servers import wait_until


class World(Protocol):
    """A CA with an account, and the means to prove names to it."""

    def connect(self) -> CertificateAuthority:
        """A client that knows nothing but the account, as after a crash."""
        ...

    def prove(self, authorization: Authorization) -> Challenge:
        """Put a proof in place and return its challenge."""
        ...

    def issued(self) -> int | None:
        """How many certificates were issued so far; None where that cannot be known."""
        ...


def settled(world: World, url: str, *busy: CaOrderState) -> CaOrder:
    """The order once it has left the busy states, looked at by fresh clients."""
    seen: list[CaOrder] = []

    def has_left() -> bool:
        seen.append(world.connect().get_order(url))
        return seen[-1].state not in busy

    wait_until(has_left, 15, f"the order to leave {busy}")
    return seen[-1]


def obtain(world: World, names: Sequence[str], csr: str, repeat: int = 1) -> str:
    """A chain, each step by a fresh client and done `repeat` times over."""
    url = world.connect().new_order(names).url
    for _ in range(repeat):
        for authorization in world.connect().get_order(url).authorizations:
            world.connect().answer(world.prove(authorization))
    proved = settled(world, url, CaOrderState.PENDING)
    assert proved.state is not CaOrderState.INVALID, [one.error for one in proved.authorizations]
    for _ in range(repeat):
        world.connect().finalize(url, csr)
    finished = settled(world, url, CaOrderState.PROCESSING)
    assert finished.state in {CaOrderState.VALID, CaOrderState.READY}
    chains = {world.connect().download(url, csr) for _ in range(repeat)}
    assert len(chains) == 1
    return chains.pop()


def code_of(call: Callable[[], Any]) -> tuple[str, bool]:
    """The code of the AdapterError that `call` raises, and whether it is permanent."""
    with pytest.raises(AdapterError) as caught:
        call()
    return caught.value.code, caught.value.permanent


class CaContract:
    """Inherit, and give a fixture `world`."""

    @pytest.mark.parametrize("key_type", ["rsa-2048", "rsa-3072", "ec-p256", "ec-p384"])
    def test_an_order_becomes_a_certificate_for_the_key(self, world: World, key_type: str) -> None:
        names, key = ("shop.example.com",), pki.key(key_type)
        chain = split_pem(obtain(world, names, make_csr(names, key)))
        check_issued(chain, Ordered(names, key.public_key()), datetime.now(UTC))

    def test_wildcards_and_several_names_come_in_one_certificate(self, world: World) -> None:
        names, key = ("example.com", "*.example.com", "www.example.org", "xn--fiqs8s.example.com"), pki.key()
        chain = split_pem(obtain(world, names, make_csr(names, key)))
        check_issued(chain, Ordered(names, key.public_key()), datetime.now(UTC))

    def test_every_step_may_be_repeated_after_a_crash_and_one_certificate_comes_of_it(
        self, world: World
    ) -> None:
        before, names = world.issued(), ("twice.example.com",)
        obtain(world, names, make_csr(names, pki.key()), repeat=2)
        assert before is None or world.issued() == before + 1

    def test_a_certificate_is_for_servers_alone(self, world: World) -> None:
        names = ("server.example.com",)
        leaf = split_pem(obtain(world, names, make_csr(names, pki.key())))[0]
        usages = leaf.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
        assert isinstance(usages, x509.ExtendedKeyUsage)
        assert ExtendedKeyUsageOID.SERVER_AUTH in usages

    def test_an_order_of_nobody_is_gone(self, world: World) -> None:
        ca, csr = world.connect(), make_csr(("a.example.com",), pki.key())
        known = ca.new_order(("a.example.com",)).url
        for url in (
            known[:-4] + "AAAA",
            known.replace("order", "other"),
            "https://127.0.0.2/order/1",
            "nonsense",
            "",
        ):
            assert code_of(lambda url=url: ca.get_order(url)) == ("ca_order_gone", False), url
            assert code_of(lambda url=url: ca.finalize(url, csr)) == ("ca_order_gone", False), url
            assert code_of(lambda url=url: ca.download(url, csr)) == ("ca_order_gone", False), url

    def test_registering_again_finds_the_same_account(self, world: World) -> None:
        assert world.connect().register() == world.connect().register()

    @pytest.mark.parametrize("asked", [("other.example.com",), ("csr.example.com", "more.example.com")])
    def test_a_csr_for_other_names_is_refused(self, world: World, asked: tuple[str, ...]) -> None:
        url = _ready(world, ("csr.example.com",))
        assert code_of(lambda: world.connect().finalize(url, make_csr(asked, pki.key()))) == (
            "ca_refused",
            True,
        )

    def test_a_csr_that_is_none_is_refused(self, world: World) -> None:
        url = _ready(world, ("csr.example.com",))
        assert code_of(lambda: world.connect().finalize(url, "no CSR at all")) == ("ca_refused", True)

    def test_a_new_order_tells_its_url_and_no_more(self, world: World) -> None:
        placed = world.connect().new_order(("new.example.com",))
        assert placed.url
        assert placed.authorizations == ()

    def test_an_order_may_name_a_predecessor(self, world: World) -> None:
        assert world.connect().new_order(("new.example.com",), replaces="AQID.BAUG").url


def _ready(world: World, names: Sequence[str]) -> str:
    """The URL of an order that waits for its CSR."""
    url = world.connect().new_order(names).url
    for authorization in world.connect().get_order(url).authorizations:
        world.connect().answer(world.prove(authorization))
    assert settled(world, url, CaOrderState.PENDING).state is CaOrderState.READY
    return url

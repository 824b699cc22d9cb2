"""ACME against a real pebble that refuses one nonce in five."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from portal.adapters.ca.acme import AcmeCa
from portal.adapters.ca.base import CaOrderState, CaSettings, ChallengeKind
from portal.adapters.dns.sandbox import SandboxDns
from portal.domain.certificate import split_pem
from portal.domain.keys import make_csr
from tests import pki
from tests.adapters.ca.acme_world import AcmeWorld
from tests.adapters.ca.conftest import NO_REUSE
from tests.adapters.ca.contract import CaContract, code_of, obtain, settled
from tests.pebble import Pebble, pebble

EAB = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


class TestAcme(CaContract):
    """The suite of every CA."""


def test_names_are_proved_over_http(world: AcmeWorld) -> None:
    world.proofs = ChallengeKind.HTTP_01
    names = ("http.example.com", "http.example.org")
    assert len(split_pem(obtain(world, names, make_csr(names, pki.key())))) >= 2


def test_a_delegated_name_is_proved_where_its_cname_leads(world: AcmeWorld) -> None:
    target = "c1.validation.example"
    world.server.call("set-cname", host="_acme-challenge.customer.example.", target=f"{target}.")
    names = ("customer.example", "*.customer.example")
    assert obtain(world, names, make_csr(names, pki.key()))
    assert len(SandboxDns(world.server.dns_options, {}, 5)._values(target)) == 2


def test_a_proof_that_is_missing_fails_with_the_cas_reason(world: AcmeWorld) -> None:
    url = world.connect().new_order(("unproved.example.com",)).url
    authorization = world.connect().get_order(url).authorizations[0]
    challenge = next(one for one in authorization.challenges if one.kind is ChallengeKind.DNS_01)
    world.connect().answer(challenge)
    failed = settled(world, url, CaOrderState.PENDING)
    assert failed.state is CaOrderState.INVALID
    assert failed.authorizations[0].state == "invalid"
    assert "TXT" in (failed.authorizations[0].error or "")
    world.connect().answer(challenge)
    assert code_of(lambda: world.connect().finalize(url, make_csr(("unproved.example.com",), pki.key()))) == (
        "ca_order_gone",
        False,
    )


def test_a_name_that_the_ca_will_not_have_is_refused(world: AcmeWorld) -> None:
    assert code_of(lambda: world.connect().new_order(("b.test",))) == ("ca_refused", True)


def test_an_order_of_another_account_is_gone(world: AcmeWorld, pebble_server: Pebble) -> None:
    stranger = AcmeWorld(pebble_server, pebble_server.directory_url).registered()
    url = stranger.connect().new_order(("mine.example.com",)).url
    assert code_of(lambda: world.connect().get_order(url)) == ("ca_order_gone", False)


def test_an_account_is_found_by_its_key_where_its_address_is_lost(world: AcmeWorld) -> None:
    world.account_url = None
    assert world.connect().new_order(("found.example.com",)).url


def test_a_certificate_that_is_not_there_yet_is_waited_for(world: AcmeWorld) -> None:
    url = world.connect().new_order(("early.example.com",)).url
    csr = make_csr(("early.example.com",), pki.key())
    assert code_of(lambda: world.connect().download(url, csr)) == ("ca_unavailable", False)
    assert world.connect().finalize(url, csr).state is CaOrderState.PENDING


def test_revoking_twice_is_revoking_once(world: AcmeWorld) -> None:
    names = ("revoked.example.com",)
    leaf = split_pem(obtain(world, names, make_csr(names, pki.key())))[0].public_bytes(Encoding.PEM).decode()
    world.connect().revoke(leaf, 4)
    world.connect().revoke(leaf, 4)


def test_revoking_what_the_ca_did_not_issue_is_refused(world: AcmeWorld) -> None:
    assert code_of(lambda: world.connect().revoke(pki.make_certificate().leaf_pem))[1]


@pytest.mark.parametrize("secret", ["account_key", "eab_hmac"])
def test_secrets_show_in_no_repr(world: AcmeWorld, secret: str) -> None:
    settings = CaSettings("pebble", world.config, {**world.secrets, "eab_hmac": EAB["kid-1"]})
    assert settings.secrets[secret] not in repr(settings) + repr(AcmeCa(settings))


def test_nine_refused_nonces_in_ten_are_lived_through() -> None:
    with pebble(nonce_reject=90, environment=NO_REUSE) as server:
        world = AcmeWorld(server, server.directory_url).registered()
        names = ("patient.example.com",)
        assert obtain(world, names, make_csr(names, pki.key()))
        assert world.issued() == 1


def test_a_ca_that_lost_its_state_has_neither_order_nor_account(pebble_server: Pebble) -> None:
    with pebble(environment=NO_REUSE) as server:
        world = AcmeWorld(server, server.directory_url).registered()
        names = ("again.example.com",)
        url = world.connect().new_order(names).url
        server.restart()
        assert code_of(lambda: world.connect().get_order(url)) == ("ca_order_gone", False)
        assert code_of(lambda: world.connect().new_order(names)) == ("ca_account_gone", False)
        world.registered()
        assert obtain(world, names, make_csr(names, pki.key()))


def test_external_account_binding() -> None:
    with pebble(environment=NO_REUSE, eab=EAB) as server:

        def account(kid: str, hmac: str) -> AcmeWorld:
            return AcmeWorld(
                server, server.directory_url, config={"eab_kid": kid}, secrets={"eab_hmac": hmac}
            )

        names = ("bound.example.com",)
        world = account("kid-1", EAB["kid-1"]).registered()
        assert obtain(world, names, make_csr(names, pki.key()))
        assert world.connect().register() == world.account_url
        wrong = EAB["kid-1"].replace("zWND", "AAAA")
        for kid, hmac in (("kid-1", wrong), ("kid-2", EAB["kid-1"]), ("", ""), ("kid-1", "no base64url!")):
            assert code_of(account(kid, hmac).connect().register) == ("ca_refused", True), kid


def test_proofs_are_taken_away_one_by_one(world: AcmeWorld) -> None:
    provider = SandboxDns(world.server.dns_options, {}, 5)
    for value in ("one", "two", "two"):
        provider.add_txt("_acme-challenge.clean.example.com", value)
    provider.remove_txt("_acme-challenge.clean.example.com", "one")
    provider.remove_txt("_acme-challenge.clean.example.com", "one")
    assert provider._values("_acme-challenge.clean.example.com") == {"two"}

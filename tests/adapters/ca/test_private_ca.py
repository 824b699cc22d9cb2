"""The private CA."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from portal.adapters.ca.base import Authorization, CaOrderState, CaSettings, Challenge, ChallengeKind
from portal.adapters.ca.private_ca import PrivateCa
from portal.domain.certificate import read_facts, split_pem
from portal.domain.keys import make_csr
from tests import pki
from tests.adapters.ca.contract import CaContract, code_of


@dataclass
class PrivateWorld:
    """Clients that share the account's secrets and nothing else, as on several hosts."""

    config: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.secrets = PrivateCa.make_secrets(self.config)

    public_url: str | None = "http://pki.test/ca/1"

    def connect(self) -> PrivateCa:
        settings = CaSettings("private", dict(self.config), dict(self.secrets), public_url=self.public_url)
        return PrivateCa(settings)

    def prove(self, authorization: Authorization) -> Challenge:
        raise AssertionError("a private CA wants nothing proved")

    def issued(self) -> int | None:
        return None

    def certificate(self, *names: str, key_type: str = "ec-p256") -> x509.Certificate:
        """A leaf for the names."""
        csr = make_csr(names, pki.key(key_type))
        url = self.connect().new_order(names).url
        return split_pem(self.connect().download(url, csr))[0]


@pytest.fixture
def world() -> PrivateWorld:
    return PrivateWorld()


class TestPrivateCa(CaContract):
    """The suite of every CA."""


def test_one_order_and_key_give_the_same_bytes_on_every_host(world: PrivateWorld) -> None:
    csr = make_csr(("a.example.com",), pki.key())
    url = world.connect().new_order(("a.example.com",)).url
    assert len({world.connect().download(url, csr) for _ in range(5)}) == 1


def test_another_csr_for_the_same_key_gives_the_same_bytes(world: PrivateWorld) -> None:
    one, other = (make_csr(("a.example.com",), pki.key()) for _ in range(2))
    assert one != other
    url = world.connect().new_order(("a.example.com",)).url
    assert world.connect().download(url, one) == world.connect().download(url, other)


def test_two_keys_never_share_a_serial(world: PrivateWorld) -> None:
    url = world.connect().new_order(("a.example.com",)).url
    csrs = [make_csr(("a.example.com",), pki.key("ec-p256", number)) for number in range(2)]
    leaves = [split_pem(world.connect().download(url, csr))[0] for csr in csrs]
    assert leaves[0].serial_number != leaves[1].serial_number


def test_two_orders_for_the_same_names_are_two_certificates(world: PrivateWorld) -> None:
    assert (
        world.certificate("a.example.com").serial_number != world.certificate("a.example.com").serial_number
    )


def test_serials_are_positive_and_at_most_20_octets(world: PrivateWorld) -> None:
    serials = [world.certificate("a.example.com").serial_number for _ in range(20)]
    assert all(0 < serial < 1 << 159 for serial in serials)


def test_its_certificates_verify_under_its_root_as_a_browser_would(world: PrivateWorld) -> None:
    csr = make_csr(("a.example.com", "*.b.example.com"), pki.key("rsa-2048"))
    url = world.connect().new_order(("a.example.com", "*.b.example.com")).url
    leaf, *above = split_pem(world.connect().download(url, csr))
    root = x509.load_pem_x509_certificate(world.connect().root_pem.encode())
    verifier = PolicyBuilder().store(Store([root])).time(datetime.now(UTC))
    for name in ("a.example.com", "shop.b.example.com"):
        found = verifier.build_server_verifier(x509.DNSName(name)).verify(leaf, above)
        assert len(found) == 3


def test_a_leaf_says_what_the_settings_say() -> None:
    world = PrivateWorld({"subject": "Acme Works", "validity_days": "365", "policy": "ov"})
    facts = read_facts(world.certificate("a.example.com"))
    assert facts.issuer.count("Acme Works") >= 1
    assert facts.lifetime == timedelta(days=365) - timedelta(seconds=1)
    assert facts.policy_oids == ("2.23.140.1.2.2",)
    assert not facts.has_client_auth


def test_a_csr_that_asks_for_more_gets_no_more(world: PrivateWorld) -> None:
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    extensions = (both, x509.BasicConstraints(ca=True, path_length=None))
    url = world.connect().new_order(("a.example.com",)).url
    leaf = split_pem(world.connect().download(url, _csr("a.example.com", pki.key(), *extensions)))[0]
    assert not read_facts(leaf).has_client_auth
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_name_too_long_for_a_common_name_is_left_to_the_san(world: PrivateWorld) -> None:
    long = f"{'a' * 60}.example.com"
    leaf = world.certificate(long)
    assert list(leaf.subject) == []
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    assert read_facts(leaf).names == (long,)


@pytest.mark.parametrize(
    "secret", ["root_certificate", "root_key", "issuing_certificate", "issuing_key", "order_key"]
)
def test_secrets_show_in_no_repr(world: PrivateWorld, secret: str) -> None:
    settings = CaSettings("private", {}, world.secrets)
    assert world.secrets[secret] not in repr(settings) + repr(PrivateCa(settings))


def test_a_slow_validation_says_when_to_look_again() -> None:
    world, csr = PrivateWorld({"validation_seconds": "60"}), make_csr(("a.example.com",), pki.key())
    with time_machine.travel(datetime(2026, 11, 1, tzinfo=UTC), tick=False) as clock:
        url = world.connect().new_order(("a.example.com",)).url
        seen = world.connect().finalize(url, csr)
        assert (seen.state, seen.retry_at) == (CaOrderState.PENDING, datetime(2026, 11, 1, 0, 1, tzinfo=UTC))
        assert code_of(lambda: world.connect().download(url, csr)) == ("ca_unavailable", False)
        clock.shift(60)
        assert world.connect().get_order(url).state is CaOrderState.READY
        assert world.connect().finalize(url, csr).state is CaOrderState.VALID


def test_an_order_expires_after_a_week(world: PrivateWorld) -> None:
    csr = make_csr(("a.example.com",), pki.key())
    with time_machine.travel(datetime(2026, 11, 24, tzinfo=UTC), tick=False) as clock:
        url = world.connect().new_order(("a.example.com",)).url
        clock.shift(timedelta(days=7))
        assert world.connect().get_order(url).state is CaOrderState.INVALID
        assert code_of(lambda: world.connect().finalize(url, csr)) == ("ca_order_gone", False)
        assert code_of(lambda: world.connect().download(url, csr)) == ("ca_order_gone", False)


def test_a_leaf_does_not_outlive_its_issuer() -> None:
    world = PrivateWorld({"validity_days": "4000"})
    issuer = x509.load_pem_x509_certificate(world.secrets["issuing_certificate"].encode())
    assert world.certificate("a.example.com").not_valid_after_utc == issuer.not_valid_after_utc


def test_an_order_of_another_ca_is_gone(world: PrivateWorld) -> None:
    url = PrivateWorld().connect().new_order(("a.example.com",)).url
    assert code_of(lambda: world.connect().get_order(url)) == ("ca_order_gone", False)


def _csr(name: str, key: Any, *extensions: x509.ExtensionType) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder(subject)
    for extension in (x509.SubjectAlternativeName([x509.DNSName(name)]), *extensions):
        builder = builder.add_extension(extension, critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.PEM).decode()


def _tampered(csr_pem: str) -> str:
    """The CSR with the last bit of its signature turned."""
    der = bytearray(x509.load_pem_x509_csr(csr_pem.encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()


def _with_address(name: str) -> str:
    subject = x509.Name([])
    names = [x509.DNSName(name), x509.RFC822Name("a@example.com")]
    builder = x509.CertificateSigningRequestBuilder(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(pki.key(), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    "csr",
    [
        pytest.param(
            lambda: _tampered(_csr("a.example.com", pki.key("rsa-2048"))), id="signature does not hold"
        ),
        pytest.param(lambda: _csr("a.example.com", ed25519.Ed25519PrivateKey.generate()), id="Ed25519"),
        pytest.param(lambda: _csr("a.example.com", ec.generate_private_key(ec.SECP224R1())), id="P-224"),
        pytest.param(lambda: _with_address("a.example.com"), id="a mail address among the names"),
        pytest.param(
            lambda: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", id="junk"
        ),
    ],
)
def test_a_bad_csr_is_refused(world: PrivateWorld, csr: Any) -> None:
    url, text = world.connect().new_order(("a.example.com",)).url, csr()
    assert code_of(lambda: world.connect().finalize(url, text)) == ("ca_refused", True)


@pytest.mark.parametrize("names", [(), tuple(f"n{number}.example.com" for number in range(101))])
def test_an_order_has_names_and_not_too_many(world: PrivateWorld, names: tuple[str, ...]) -> None:
    assert code_of(lambda: world.connect().new_order(names)) == ("ca_refused", True)


@pytest.mark.parametrize(
    "config", [{"validity_days": "long"}, {"validation_seconds": "-1"}, {"policy": "xv"}]
)
def test_a_wrong_setting_is_refused(config: dict[str, str]) -> None:
    world = PrivateWorld()
    settings = CaSettings("private", config, world.secrets)
    assert code_of(lambda: PrivateCa(settings)) == ("ca_refused", True)


def test_revoking_is_refused_without_a_ledger_to_list_it_from(world: PrivateWorld) -> None:
    leaf = world.certificate("a.example.com").public_bytes(Encoding.PEM).decode()
    assert code_of(lambda: world.connect().revoke(leaf)) == ("ca_revoke_unsupported", True)


def test_answering_a_challenge_does_nothing(world: PrivateWorld) -> None:
    world.connect().answer(Challenge(ChallengeKind.DNS_01, "urn:x", "t", "t.k", "v"))

"""What the private CA keeps: keys of orders, and what was revoked; and what an order keeps by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from flask import Flask

from portal.adapters.ca import private_order
from portal.adapters.ca.base import CaSettings
from portal.adapters.ca.private_ca import PrivateCa
from portal.domain.certificate import split_pem, to_pem
from portal.domain.keys import make_csr
from portal.services.ca_ledger import DatabaseLedger
from tests import pki
from tests.adapters.ca.contract import CaContract, code_of
from tests.adapters.ca.test_private_ca import PrivateWorld
from tests.factories import Factory

NAMES = ("a.example.com",)


class LedgerWorld(PrivateWorld):
    """Clients that share an account's secrets and its rows."""

    account_id = ""

    def connect(self) -> PrivateCa:
        return PrivateCa(replace(self.settings(), ledger=DatabaseLedger(self.account_id)))

    def settings(self) -> CaSettings:
        return CaSettings("private", dict(self.config), dict(self.secrets), public_url=self.public_url)


@pytest.fixture
def world(core_app: Flask, factory: Factory) -> LedgerWorld:
    kept = LedgerWorld()
    kept.account_id = factory.ca_account().id
    return kept


class TestPrivateCaWithALedger(CaContract):
    """The suite of every CA."""


def test_an_order_is_for_one_key(world: LedgerWorld) -> None:
    url = world.connect().new_order(NAMES).url
    first, other = (make_csr(NAMES, pki.key("ec-p256", number)) for number in range(2))
    world.connect().finalize(url, first)
    assert code_of(lambda: world.connect().finalize(url, other)) == ("ca_refused", True)
    assert code_of(lambda: world.connect().download(url, other)) == ("ca_refused", True)
    assert world.connect().download(url, first) == world.connect().download(url, make_csr(NAMES, pki.key()))


def test_another_order_may_be_for_another_key(world: LedgerWorld) -> None:
    for number in range(2):
        url = world.connect().new_order(NAMES).url
        world.connect().finalize(url, make_csr(NAMES, pki.key("ec-p256", number)))


def test_an_order_keeps_its_terms_whatever_is_set_meanwhile(world: LedgerWorld) -> None:
    url, csr = world.connect().new_order(NAMES).url, make_csr(NAMES, pki.key())
    before = world.connect().download(url, csr)
    world.public_url = "https://elsewhere.test/ca/1"
    world.config |= {"validity_days": "10", "policy": "ov"}
    assert world.connect().download(url, csr) == before
    after = world.certificate("a.example.com")
    assert after.not_valid_after_utc < datetime.now(UTC) + timedelta(days=10)
    assert "https://elsewhere.test/ca/1/crl" in str(
        after.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    )


def test_a_leaf_names_its_list_and_its_issuer(world: LedgerWorld) -> None:
    leaf = world.certificate("a.example.com")
    (point,) = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (access,) = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert point.full_name is not None
    assert [name.value for name in point.full_name] == ["http://pki.test/ca/1/crl"]
    assert access.access_location.value == "http://pki.test/ca/1/issuer.cer"


def listed(world: LedgerWorld, now: datetime) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(world.connect().crl(now))


def test_a_list_is_signed_by_the_issuer_and_holds_for_a_week(world: LedgerWorld) -> None:
    crl = listed(world, datetime(2026, 11, 24, 10, 20, tzinfo=UTC))
    issuer = x509.load_pem_x509_certificate(world.secrets["issuing_certificate"].encode())
    assert crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    assert crl.issuer == issuer.subject
    assert crl.last_update_utc == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert crl.next_update_utc == crl.last_update_utc + timedelta(days=7)
    named = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert named.key_identifier == own.key_identifier


@pytest.mark.parametrize(
    ("reason", "flag"),
    [
        (1, "keyCompromise"),
        (3, "affiliationChanged"),
        (4, "superseded"),
        (5, "cessationOfOperation"),
        (0, None),
    ],
)
def test_a_line_says_why(world: LedgerWorld, reason: int, flag: str | None) -> None:
    leaf = world.certificate("a.example.com")
    world.connect().revoke(to_pem([leaf]), reason)
    line = listed(world, datetime.now(UTC)).get_revoked_certificate_by_serial_number(leaf.serial_number)
    assert line is not None
    said = [one.value.reason.value for one in line.extensions if isinstance(one.value, x509.CRLReason)]
    assert said == ([flag] if flag else [])


def test_numbers_grow_with_every_line_and_every_hour(world: LedgerWorld) -> None:
    now, numbers = datetime.now(UTC), []
    for hours in range(3):
        for _ in range(2):
            world.connect().revoke(to_pem([world.certificate("a.example.com")]))
            crl = listed(world, now + timedelta(hours=hours))
            numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    assert numbers == sorted(set(numbers))
    assert all(number < 1 << 159 for number in numbers)


def test_every_host_makes_the_same_list(world: LedgerWorld) -> None:
    world.connect().revoke(to_pem([world.certificate("a.example.com")]))
    now = datetime.now(UTC)
    assert world.connect().crl(now) == world.connect().crl(now)


def test_a_certificate_is_still_listed_once_after_it_expired_and_then_no_more(world: LedgerWorld) -> None:
    world.config["validity_days"] = "2"
    leaf = world.certificate("a.example.com")
    world.connect().revoke(to_pem([leaf]))
    end = leaf.not_valid_after_utc
    lengths = [len(list(listed(world, end + timedelta(hours=hours)))) for hours in (-1, 2, 26)]
    assert lengths == [1, 1, 0]


def test_revoking_twice_keeps_the_first_reason(world: LedgerWorld) -> None:
    leaf = world.certificate("a.example.com")
    for reason in (1, 4):
        world.connect().revoke(to_pem([leaf]), reason)
    (line,) = listed(world, datetime.now(UTC))
    assert (
        line.extensions.get_extension_for_class(x509.CRLReason).value.reason
        is x509.ReasonFlags.key_compromise
    )


@pytest.mark.parametrize("reason", [7, 8, 11, -1])
def test_a_reason_that_is_none_is_refused(world: LedgerWorld, reason: int) -> None:
    text = to_pem([world.certificate("a.example.com")])
    assert code_of(lambda: world.connect().revoke(text, reason)) == ("ca_refused", True)


def test_what_it_did_not_issue_is_not_revoked(world: LedgerWorld) -> None:
    for text in (pki.make_certificate().leaf_pem, "no certificate"):
        assert code_of(lambda text=text: world.connect().revoke(text)) == ("ca_refused", True)
    assert len(list(listed(world, datetime.now(UTC)))) == 0


def test_lists_of_two_accounts_are_apart(world: LedgerWorld, factory: Factory) -> None:
    other = LedgerWorld()
    other.account_id = factory.ca_account().id
    world.connect().revoke(to_pem([world.certificate("a.example.com")]))
    assert len(list(listed(other, datetime.now(UTC)))) == 0


def test_it_has_no_wishes_and_no_clock_of_its_own(world: LedgerWorld) -> None:
    ca = world.connect()
    assert (ca.renewal_info("AQID.BAUG"), ca.server_time(), ca.caa_identities()) == (None, None, ())


def test_an_order_of_before_orders_kept_terms_is_carried_on(world: LedgerWorld) -> None:
    key = bytes.fromhex(world.secrets["order_key"])
    token = private_order._encode(
        f'{{"names":["a.example.com"],"at":{int(datetime.now(UTC).timestamp())},"nonce":"00"}}'.encode()
    )
    url = f"{private_order.PREFIX}{token}.{private_order._encode(private_order._mac(token, key))}"
    leaf = split_pem(world.connect().download(url, make_csr(NAMES, pki.key())))[0]
    assert leaf.not_valid_after_utc > datetime.now(UTC) + timedelta(days=190)

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.domain.certificate import (
    KEY_TYPES,
    LONGEST_CHAIN,
    dns_names,
    is_ca,
    is_issued_by,
    key_type_of,
    order_chain,
    read_facts,
    same_public_key,
    sha256_of,
    split_pem,
    to_pem,
)
from portal.domain.errors import DomainError
from tests.pki import DV_POLICY, Issuer, key, make_ca, make_certificate, test_ca

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MADE = make_certificate(["shop.example.com", "www.shop.example.com"], now=NOW)
BLOCK = MADE.leaf_pem


def code_of(function, *arguments):
    with pytest.raises(DomainError) as caught:
        function(*arguments)
    return caught.value.code


@pytest.mark.parametrize(
    ("text",                                                     "code"),
    [
        ("",                                                      "no_certificate"),
        ("hello",                                                 "no_certificate"),
        (MADE.key_pem,                                            "no_certificate"),
        (BLOCK[:200],                                             "broken_pem"),
        (BLOCK.replace("-----END CERTIFICATE-----", ""),          "broken_pem"),
        (BLOCK + BLOCK[:100],                                     "broken_pem"),
        (BLOCK.replace("MII", "MIX", 1),                          "broken_pem"),
        (BLOCK[:100] + "!" + BLOCK[101:],                         "broken_pem"),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "broken_pem"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "broken_pem"),
        (BLOCK * (LONGEST_CHAIN + 1),                             "chain_too_long"),
    ],
)  # fmt: skip
def test_what_is_no_pem_chain_is_refused_with_its_reason(text, code):
    assert code_of(split_pem, text) == code


@pytest.mark.parametrize("wrap", ["{}", "  \n{}\n\n", "Bag Attributes\n{}", "{}trailing words"])
def test_text_around_a_block_does_no_harm(wrap):
    assert split_pem(wrap.format(BLOCK)) == (MADE.leaf,)


def test_windows_line_ends_are_read():
    assert split_pem(MADE.fullchain_pem.replace("\n", "\r\n")) == MADE.chain


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.integers(0, len(BLOCK)))
def test_damage_of_any_kind_is_refused_by_name_and_never_otherwise(noise, place):
    try:
        split_pem(BLOCK[:place] + noise + BLOCK[place:])
    except DomainError as error:
        assert error.code in {"no_certificate", "broken_pem", "chain_too_long"}


THREE = (*MADE.chain, MADE.root)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_chain_in_any_order_is_put_right_and_its_root_dropped(order):
    assert order_chain([THREE[place] for place in order]) == MADE.chain


def test_repeated_certificates_are_dropped():
    assert order_chain(THREE * 2) == MADE.chain


def test_a_lone_leaf_is_a_chain():
    assert order_chain([MADE.leaf]) == (MADE.leaf,)


def test_a_lone_self_signed_certificate_is_kept():
    own = make_ca("Alone", number=110)
    assert order_chain([own.certificate]) == (own.certificate,)


OTHER_LEAF = make_certificate(["other.example.com"], now=NOW).leaf
STRANGER = make_ca("Stranger", number=111).certificate


@pytest.mark.parametrize(
    ("certificates",                    "code"),
    [
        ([*MADE.chain, OTHER_LEAF],      "several_leaves"),
        ([MADE.leaf, OTHER_LEAF],        "several_leaves"),
        ([*MADE.chain, STRANGER],        "chain_has_strangers"),
        ([MADE.leaf, STRANGER],          "chain_has_strangers"),
        ([MADE.leaf, MADE.root],         "chain_has_strangers"),
    ],
)  # fmt: skip
def test_a_chain_that_does_not_hang_together_is_refused(certificates, code):
    assert code_of(order_chain, certificates) == code


def test_the_facts_of_a_leaf_are_read():
    facts = read_facts(MADE.leaf)
    assert facts.names == ("shop.example.com", "www.shop.example.com")
    assert facts.not_after == NOW + timedelta(days=10)
    assert facts.lifetime == timedelta(days=199)
    assert facts.serial == f"{MADE.leaf.serial_number:x}"
    assert facts.sha256 == sha256_of(MADE.leaf)
    assert facts.key_type == "ec-p256"
    assert facts.issuer == "Perennial Test CA, Perennial Test Intermediate"
    assert facts.policy_oids == (DV_POLICY,)
    assert not facts.is_precertificate
    assert not facts.has_client_auth


def test_client_authentication_and_precertificates_are_noticed():
    facts = read_facts(make_certificate(client_auth=True, extensions=[x509.PrecertPoison()]).leaf)
    assert facts.has_client_auth
    assert facts.is_precertificate


def test_names_are_lower_case_and_named_once():
    assert dns_names(make_certificate(["Shop.Example.com", "shop.example.com"]).leaf) == ("shop.example.com",)


def test_a_ca_certificate_cannot_be_hosted():
    assert code_of(read_facts, test_ca().certificate) == "is_ca_certificate"
    assert is_ca(test_ca().certificate)
    assert not is_ca(MADE.leaf)


@pytest.mark.parametrize(
    ("common_name", "alternative", "is_taken"),
    [
        ("shop",             "shop.example.com", True),
        ("localhost",        "localhost",        True),
        ("shop.example.com", None,               True),
        ("localhost",        None,               True),
        ("Root-CA",          None,               False),
    ],
)  # fmt: skip
def test_a_self_signed_certificate_of_a_website_is_taken_though_its_tool_called_it_a_ca(
    common_name, alternative, is_taken
):
    own = key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(subject, subject, own.public_key(), 1, NOW, NOW + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if alternative:
        names = x509.SubjectAlternativeName([x509.DNSName(alternative)])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(own, x509.base.hashes.SHA256())
    if is_taken:
        assert read_facts(certificate).names == (alternative or common_name,)
    else:
        assert code_of(read_facts, certificate) == "is_ca_certificate"


@pytest.mark.parametrize(
    ("common_name", "names"), [("old.example.com", ("old.example.com",)), ("Old Shop", ())]
)
def test_the_common_name_counts_only_without_a_san(common_name, names):
    own = key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(subject, subject, own.public_key(), 1, NOW, NOW + timedelta(days=1))
    certificate = builder.sign(own, x509.base.hashes.SHA256())
    assert dns_names(certificate) == names
    if not names:
        assert code_of(read_facts, certificate) == "no_names"


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_every_key_type_is_recognised(key_type):
    if key_type == "rsa-4096":
        numbers = rsa.RSAPublicNumbers(65537, (1 << 4095) + 1)
        assert key_type_of(numbers.public_key()) == key_type
    else:
        assert key_type_of(key(key_type).public_key()) == key_type


@pytest.mark.parametrize(
    "public_key",
    [
        rsa.RSAPublicNumbers(65537, (1 << 1023) + 1).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
        dsa.DSAPublicNumbers(3, dsa.DSAParameterNumbers((1 << 2047) + 1, (1 << 255) + 1, 2)),
    ],
)
def test_other_keys_are_refused(public_key):
    assert code_of(key_type_of, public_key) == "unsupported_key_type"


def test_an_issuer_needs_both_the_name_and_the_signature():
    impostor = Issuer(make_ca("Perennial Test Intermediate", number=112).certificate, key("ec-p256", 112))
    assert is_issued_by(MADE.leaf, MADE.intermediates[0])
    assert not is_issued_by(MADE.leaf, MADE.root)
    assert not is_issued_by(MADE.leaf, impostor.certificate)


def test_pem_is_written_as_it_was_read():
    assert to_pem(split_pem(MADE.fullchain_pem)) == MADE.fullchain_pem


def test_public_keys_are_compared_by_value():
    assert same_public_key(MADE.key.public_key(), MADE.leaf.public_key())
    assert not same_public_key(MADE.key.public_key(), key("ec-p256", 9).public_key())

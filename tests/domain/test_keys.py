from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from portal.domain import keys
from portal.domain.certificate import KEY_TYPES, key_type_of, same_public_key
from portal.domain.errors import DomainError
from tests.pki import key


@pytest.mark.parametrize("key_type", [one for one in KEY_TYPES if one not in {"rsa-3072", "rsa-4096"}])
def test_a_made_key_is_of_the_type_asked_for(key_type):
    assert key_type_of(keys.make_key(key_type).public_key()) == key_type


@pytest.mark.parametrize("size", [3072, 4096])
def test_long_rsa_keys_are_asked_for_with_their_size(size, monkeypatch):
    asked = []
    monkeypatch.setattr(rsa, "generate_private_key", lambda **wanted: asked.append(wanted) or key("rsa-2048"))
    keys.make_key(f"rsa-{size}")
    assert asked == [{"public_exponent": 65537, "key_size": size}]


def test_two_keys_are_never_the_same():
    assert not same_public_key(keys.make_key("ec-p256").public_key(), keys.make_key("ec-p256").public_key())


def test_an_unknown_type_is_refused():
    with pytest.raises(DomainError, match="unsupported_key_type"):
        keys.make_key("dsa-2048")


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256", "ec-p384", "ec-p521"])
def test_a_key_survives_the_vaults_form(key_type):
    one = key(key_type)
    assert same_public_key(keys.key_from_der(keys.key_to_der(one)).public_key(), one.public_key())


@pytest.mark.parametrize(
    ("key_type", "label"), [("rsa-2048", "RSA PRIVATE KEY"), ("ec-p256", "EC PRIVATE KEY")]
)
def test_a_key_is_written_as_servers_read_it(key_type, label):
    assert keys.key_to_pem(key(key_type)).startswith(f"-----BEGIN {label}-----")


@pytest.mark.parametrize(
    ("names",                               "common_names"),
    [
        (["example.com", "www.example.com"], ["example.com"]),
        (["*.example.com"],                  ["*.example.com"]),
        (["a" * 60 + ".example.com"],        []),
    ],
)  # fmt: skip
def test_a_request_asks_for_the_names_and_nothing_else(names, common_names):
    csr = x509.load_pem_x509_csr(keys.make_csr(names, key()).encode())
    san = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == names
    assert [part.value for part in csr.subject] == common_names
    assert len(csr.extensions) == 1
    assert csr.is_signature_valid


@pytest.mark.parametrize(
    ("key_type", "digest"),
    [("rsa-2048", "sha256"), ("ec-p256", "sha256"), ("ec-p384", "sha384"), ("ec-p521", "sha512")],
)
def test_a_request_is_signed_with_a_digest_as_strong_as_its_key(key_type, digest):
    csr = x509.load_pem_x509_csr(keys.make_csr(["example.com"], key(key_type)).encode())
    assert csr.signature_hash_algorithm.name == digest

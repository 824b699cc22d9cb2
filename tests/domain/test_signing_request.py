"""A customer's request: taken if it can be had, refused in words if not."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from portal.domain.errors import DomainError
from portal.domain.keys import make_csr
from portal.domain.signing_request import LONGEST_CSR, OFFERED_KEY_TYPES, read_csr
from tests import pki

NAMES = ("shop.example.com", "www.shop.example.com")
GOOD = make_csr(NAMES, pki.key())


def refusal(text: str, names=NAMES) -> DomainError:
    with pytest.raises(DomainError) as caught:
        read_csr(text, names)
    return caught.value


def csr(names=NAMES, *, key=None, common_name=None, extra=()) -> str:
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder(x509.Name(subject))
    asked = [*(x509.DNSName(name) for name in names), *extra]
    builder = builder.add_extension(x509.SubjectAlternativeName(asked), critical=False)
    key = key or pki.key()
    is_ed = isinstance(key, ed25519.Ed25519PrivateKey)
    return builder.sign(key, None if is_ed else hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("key_type", OFFERED_KEY_TYPES)
def test_a_request_for_the_same_names_is_taken(key_type):
    text = make_csr(NAMES, pki.key(key_type))
    assert read_csr(f"Here it is:\r\n{text}\n", NAMES) == text


def test_case_order_and_the_old_label_do_not_matter():
    assert read_csr(csr(["WWW.shop.example.com", "Shop.Example.com"]), NAMES)
    assert read_csr(GOOD.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"), NAMES)


def test_a_common_name_alone_is_a_name():
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com")])
    made = x509.CertificateSigningRequestBuilder(subject).sign(pki.key(), hashes.SHA256())
    assert read_csr(made.public_bytes(Encoding.PEM).decode(), ["shop.example.com"])


def test_missing_and_further_names_are_named():
    error = refusal(csr(["shop.example.com", "other.example.com"]))
    assert (error.code, error.params) == (
        "csr_names",
        {"missing": "www.shop.example.com", "extra": "other.example.com"},
    )
    assert refusal(csr(common_name="cn.example.com")).params["extra"] == "cn.example.com"
    assert refusal(csr(extra=[x509.RFC822Name("a@example.com")])).params["extra"] == "a@example.com"
    assert refusal(GOOD, [f"{number}.example.com" for number in range(9)]).params["missing"].endswith(" …")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "csr_none"),
        ("hello", "csr_none"),
        (pki.make_certificate().leaf_pem, "csr_none"),
        (GOOD * 2, "csr_several"),
        (GOOD + "x" * LONGEST_CSR, "csr_none"),
        (GOOD[:80] + GOOD[100:], "csr_broken"),
        (pki.key_pem(pki.key()) + GOOD, "csr_private_key"),
        (csr(key=pki.key("ec-p521")), "csr_key_type"),
        (csr(key=ed25519.Ed25519PrivateKey.generate()), "csr_key_type"),
    ],
    ids=["empty", "text", "certificate", "two", "long", "damaged", "key", "P-521", "Ed25519"],
)
def test_what_is_no_usable_request_is_refused(text, code):
    assert refusal(text).code == code


def test_a_signature_by_another_key_is_refused():
    der = bytearray(x509.load_pem_x509_csr(GOOD.encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    assert refusal(forged).code in ("csr_not_signed", "csr_broken")

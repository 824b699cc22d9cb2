"""What certificates say of their applicants."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from portal.domain.applicant import applicant_in
from tests import pki


def test_an_ov_certificate_says_whose_it_is() -> None:
    parts = {
        NameOID.COUNTRY_NAME: "CN",
        NameOID.ORGANIZATION_NAME: "上海示例有限公司",
        NameOID.LOCALITY_NAME: "上海",
        NameOID.COMMON_NAME: "pay.example.com",
    }
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])
    leaf = pki.make_certificate().leaf
    key = pki.key()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(leaf.not_valid_before_utc).not_valid_after(leaf.not_valid_after_utc)
    assert applicant_in(builder.sign(key, hashes.SHA256())) == {
        "organisation": "上海示例有限公司",
        "locality": "上海",
        "country": "CN",
    }


def test_a_dv_certificate_says_nothing_of_it() -> None:
    assert applicant_in(pki.make_certificate().leaf) == {}

"""The certificate store: looked through before it is written to, within its limits, in its formats."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.adapters.cloud import errors
from portal.adapters.cloud.aliyun.cas import Cas, traditional_key_pem
from portal.adapters.cloud.base import Material
from portal.adapters.errors import AdapterError
from portal.domain.certificate import sha256_of
from tests import pki
from tests.adapters.cloud.aliyun.test_client import account
from tests.adapters.cloud.stands import material_of
from tests.aliyun_server import AliyunServer


@pytest.fixture
def server() -> Iterator[AliyunServer]:
    with AliyunServer() as started:
        yield started


@pytest.fixture
def cas(server: AliyunServer) -> Cas:
    return Cas(account(server))


def put(server: AliyunServer, made: pki.Made, name: str) -> str:
    """Have a certificate in the store that someone else uploaded."""
    form = {"Name": name, "Cert": made.fullchain_pem, "Key": traditional_key_pem(made.key_pem)}
    return str(server.cas.upload_user_certificate(form)["CertId"])


def test_rsa_keys_are_sent_as_pkcs1_and_ec_keys_as_sec1(server: AliyunServer, cas: Cas) -> None:
    cas.upload(material_of(pki.make_certificate(key_type="rsa-2048")))
    cas.upload(material_of(pki.make_certificate(key_type="ec-p256")))
    heads = [one.key.splitlines()[0] for one in server.uploads]
    assert heads == ["-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----"]


def test_a_key_that_cannot_be_read_is_a_certificate_error_without_its_text() -> None:
    with pytest.raises(AdapterError) as caught:
        traditional_key_pem("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    assert (caught.value.code, caught.value.permanent) == (errors.CERTIFICATE_REFUSED, True)
    assert caught.value.__context__ is None


def test_text_that_is_no_certificate_is_refused_before_anything_is_sent(
    server: AliyunServer, cas: Cas
) -> None:
    with pytest.raises(AdapterError) as caught:
        cas.upload(Material("x", "not a certificate", pki.key_pem(pki.key()), "00"))
    assert caught.value.code == errors.CERTIFICATE_REFUSED
    assert server.calls == []


def test_the_same_certificate_under_a_customers_own_name_is_used(server: AliyunServer, cas: Cas) -> None:
    made = pki.make_certificate()
    theirs = put(server, made, "uploaded-by-hand")
    assert cas.upload(material_of(made)) == theirs
    assert len(server.uploads) == 1


def test_it_is_found_behind_a_hundred_others_of_the_same_domain(server: AliyunServer, cas: Cas) -> None:
    for number in range(120):
        put(server, pki.make_certificate(), f"other-{number}")
    made = pki.make_certificate()
    theirs = put(server, made, "the-one")
    assert cas.upload(material_of(made)) == theirs
    assert server.count("ListUserCertificateOrder") == 2


def test_where_lists_show_no_fingerprint_the_one_of_the_same_name_is_asked(
    server: AliyunServer, cas: Cas
) -> None:
    made = pki.make_certificate()
    first = cas.upload(material_of(made))
    server.cas.hide_sha2 = True
    assert cas.upload(material_of(made)) == first
    (detail,) = [call for call in server.calls if call.action == "GetUserCertificateDetail"]
    assert detail.parameters["CertFilter"] == "true"


def test_a_name_taken_by_a_certificate_of_another_domain_is_varied(server: AliyunServer, cas: Cas) -> None:
    """The search by domain does not show it; the store's refusal does."""
    put(server, pki.make_certificate(("other.example.org",)), "taken-0123456789ab")
    made = pki.make_certificate()
    cas.upload(material_of(made, "taken-0123456789ab"))
    assert [one.name for one in server.uploads] == ["taken-0123456789ab", "taken-0123456789ab-2"]


def test_an_upload_that_came_in_between_is_found_by_looking_again(server: AliyunServer, cas: Cas) -> None:
    made = pki.make_certificate()
    server.refuse_next("UploadUserCertificate", 400, "NameRepeat")
    put(server, pki.make_certificate(("other.example.org",)), material_of(made).name)
    assert cas.upload(material_of(made)) == str(server.uploads[-1].id)
    assert server.uploads[-1].sha256 == sha256_of(made.leaf)


def test_names_keep_to_the_stores_limit_and_keep_the_fingerprint(server: AliyunServer, cas: Cas) -> None:
    made = pki.make_certificate(("*.example.com",))
    sha256 = sha256_of(made.leaf)
    cas.upload(material_of(made, f"*.{'a' * 80}.example.com-{sha256[:12]}"))
    (upload,) = server.uploads
    assert len(upload.name) == 63
    assert upload.name.endswith(f"-{sha256[:12]}")
    assert "*" not in upload.name


def test_five_taken_names_are_enough(server: AliyunServer, cas: Cas) -> None:
    for suffix in ("", "-2", "-3", "-4", "-5"):
        put(server, pki.make_certificate(), f"name-0123456789ab{suffix}")
    with pytest.raises(AdapterError) as caught:
        cas.upload(material_of(pki.make_certificate(), "name-0123456789ab"))
    assert caught.value.code == errors.CERTIFICATE_REFUSED


def test_fingerprints_are_read_without_the_key(server: AliyunServer, cas: Cas) -> None:
    made = pki.make_certificate()
    assert cas.fingerprint(cas.upload(material_of(made))) == sha256_of(made.leaf)
    assert server.calls[-1].parameters["CertFilter"] == "true"

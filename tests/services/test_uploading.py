"""Uploads: what is taken in, and every way in which one is refused with nothing stored."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from portal.domain.certificate import same_public_key, to_pem
from portal.domain.errors import DomainError
from portal.domain.keys import make_csr
from portal.domain.spec import Grade, Spec, ValidationType
from portal.models.certificate import Certificate, Source
from portal.models.history import AuditEntry
from portal.services import uploading
from portal.services.acting import Actor
from portal.services.pem_reading import text_of
from portal.services.private_keys import open_certificate_key
from portal.services.uploading import Upload
from tests import pki
from tests.factories import Cast, Factory

CSR = make_csr(["shop.example.com"], pki.key())


@pytest.fixture
def actor(cast: Cast) -> Actor:
    return Actor(cast.alice.id, cast.organisation.id, "127.0.0.1")


def stored(session: scoped_session[Session]) -> int:
    return session.scalar(select(func.count()).select_from(Certificate)) or 0


def test_certificate_with_chain_and_key_is_stored_sealed(
    session: scoped_session[Session], actor: Actor, now: datetime
) -> None:
    made = pki.make_certificate(["shop.example.com", "www.shop.example.com"], now=now)
    certificate = uploading.store(Upload(made.fullchain_pem, key=made.key_pem), actor, now)
    session.expire_all()
    assert certificate.source is Source.UPLOADED
    assert certificate.names == ["shop.example.com", "www.shop.example.com"]
    assert certificate.fullchain_pem == made.fullchain_pem
    assert certificate.private_key is not None
    assert b"PRIVATE KEY" not in certificate.private_key
    assert same_public_key(open_certificate_key(certificate).public_key(), made.leaf.public_key())
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor, entry.params) == ("certificate.upload", actor.id, {"has_key": True})


def test_specification_is_derived_as_far_as_the_certificate_tells(actor: Actor, now: datetime) -> None:
    made = pki.make_certificate(["*.example.com"], now=now)
    certificate = uploading.store(Upload(made.fullchain_pem), actor, now)
    assert (certificate.domain_type, certificate.validation_type, certificate.brand, certificate.grade) == (
        "wildcard",
        "dv",
        "perennial",
        None,
    )
    assert certificate.spec is None


def test_public_part_alone_is_enough(actor: Actor, now: datetime) -> None:
    made = pki.make_certificate(now=now)
    assert uploading.store(Upload(made.leaf_pem, chain=made.chain_pem), actor, now).private_key is None


def test_key_in_the_same_text_as_the_certificate_is_found(actor: Actor, now: datetime) -> None:
    made = pki.make_certificate(now=now)
    assert uploading.store(Upload(made.key_pem + made.fullchain_pem), actor, now).private_key is not None


def test_chain_in_wrong_order_is_repaired_and_the_root_left_out(actor: Actor, now: datetime) -> None:
    made = pki.make_certificate(now=now)
    shuffled = to_pem([made.root, *reversed(made.chain)])
    assert uploading.store(Upload(shuffled), actor, now).fullchain_pem == made.fullchain_pem


@pytest.mark.parametrize("key_type", ["ec-p384", "rsa-2048"])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_encrypted_key_opens_with_its_passphrase(
    actor: Actor, now: datetime, key_type: str, form: PrivateFormat
) -> None:
    made = pki.make_certificate(now=now, key_type=key_type)
    sealed = made.key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"opensesame"))
    upload = Upload(made.fullchain_pem, key=sealed.decode(), passphrase="opensesame")
    assert uploading.store(upload, actor, now).private_key is not None


def test_passphrase_for_a_key_that_needs_none_does_no_harm(actor: Actor, now: datetime) -> None:
    made = pki.make_certificate(now=now)
    upload = Upload(made.fullchain_pem, key=made.key_pem, passphrase="unneeded")
    assert uploading.store(upload, actor, now).private_key is not None


def good(now: datetime) -> tuple[pki.Made, Upload]:
    made = pki.make_certificate(now=now)
    return made, Upload(made.fullchain_pem, key=made.key_pem)


def refusals(now: datetime) -> dict[str, tuple[str, Upload]]:
    """Every way an upload can be wrong: name → code, upload."""
    made, right = good(now)
    other = pki.make_certificate(["other.example.com"], now=now, key_number=1)
    sealed = pki.key_pem(made.key, "opensesame")
    ed_key = ed25519.Ed25519PrivateKey.generate()
    ed_pem = ed_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = made.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    bundle = pkcs7.serialize_certificates([made.leaf, *made.intermediates], Encoding.PEM).decode()
    expired = pki.make_certificate(now=now, expires_in=-timedelta(days=1))
    pre = pki.make_certificate(now=now, extensions=[x509.PrecertPoison()])
    return {
        "expired": ("certificate_expired", Upload(expired.fullchain_pem)),
        "key of another certificate": ("key_mismatch", replace(right, key=pki.key_pem(pki.key(number=7)))),
        "wrong passphrase": ("key_passphrase_wrong", replace(right, key=sealed, passphrase="nonsense")),
        "passphrase missing": ("key_passphrase_needed", replace(right, key=sealed)),
        "cut PEM": ("broken_pem", Upload(made.leaf_pem[:-60])),
        "damaged PEM": ("broken_pem", Upload(made.leaf_pem.replace("M", "A", 5))),
        "CSR": ("is_csr", Upload(CSR)),
        "private key": ("is_private_key", Upload(made.key_pem)),
        "public key": ("is_public_key", Upload(public)),
        "PKCS#7": ("is_pkcs7", Upload(bundle)),
        "prose": ("no_certificate", Upload("Dear customer, your certificate is attached.")),
        "nothing": ("nothing_uploaded", Upload(" \n")),
        "CA certificate": ("is_ca_certificate", Upload(to_pem([made.root]))),
        "only the chain": ("is_ca_certificate", Upload(made.chain_pem)),
        "stranger in the chain": ("several_leaves", Upload(made.fullchain_pem + other.leaf_pem)),
        "foreign CA in the chain": (
            "chain_has_strangers",
            Upload(made.fullchain_pem + to_pem([pki.make_ca("Stranger", number=120).certificate])),
        ),
        "precertificate": ("is_precertificate", Upload(pre.fullchain_pem)),
        "odd name": ("unusable_name", Upload(pki.make_certificate(["bad name"], now=now).leaf_pem)),
        "too large": ("upload_too_large", Upload(made.fullchain_pem, chain="x" * 262_144)),
        "text as key": ("no_key", replace(right, key="my key")),
        "broken key": ("broken_key", replace(right, key=made.key_pem.replace("M", "A", 3))),
        "two keys": ("several_keys", replace(right, key=made.key_pem * 2)),
        "Ed25519 key": ("unsupported_key_type", replace(right, key=ed_pem)),
    }


WRONG_WAYS = tuple(refusals(datetime(2026, 11, 24, tzinfo=UTC)))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", WRONG_WAYS)
def test_wrong_upload_is_refused_by_name_and_nothing_is_stored(
    session: scoped_session[Session], actor: Actor, now: datetime, way: str
) -> None:
    code, upload = refusals(now)[way]
    with pytest.raises(DomainError) as refusal:
        uploading.store(upload, actor, now)
    assert refusal.value.code == code
    assert stored(session) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_key_that_is_made_costly_ends_at_the_limits(actor: Actor, now: datetime) -> None:
    made = pki.make_certificate(now=now)
    with pytest.raises(DomainError) as refusal:
        uploading.store(Upload(made.fullchain_pem, key=costly_key(), passphrase="x"), actor, now)
    assert refusal.value.code == "key_too_costly"


def costly_key() -> str:
    """An EncryptedPrivateKeyInfo whose PBKDF2 asks for 2**31-1 rounds (RFC 8018)."""

    def tlv(tag: int, *parts: bytes) -> bytes:
        body = b"".join(parts)
        length = bytes([len(body)]) if len(body) < 128 else bytes([0x81, len(body)])
        return bytes([tag]) + length + body

    def oid(digits: str) -> bytes:
        return tlv(0x06, bytes.fromhex(digits))

    prf = tlv(0x30, oid("2a864886f70d0209"), tlv(0x05))
    kdf = tlv(0x30, tlv(0x04, b"saltsalt"), tlv(0x02, b"\x7f\xff\xff\xff"), prf)
    cipher = tlv(0x30, oid("60864801650304012a"), tlv(0x04, bytes(16)))
    pbes2 = tlv(0x30, tlv(0x30, oid("2a864886f70d01050c"), kdf), cipher)
    info = tlv(0x30, tlv(0x30, oid("2a864886f70d01050d"), pbes2), tlv(0x04, bytes(64)))
    body = base64.b64encode(info).decode()
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n"


def test_duplicate_is_refused_with_a_way_to_the_first(
    session: scoped_session[Session], actor: Actor, now: datetime
) -> None:
    _, upload = good(now)
    first = uploading.store(upload, actor, now)
    with pytest.raises(DomainError) as refusal:
        uploading.store(upload, actor, now)
    assert (refusal.value.code, refusal.value.params["certificate_id"]) == ("duplicate_upload", first.id)
    assert stored(session) == 1


def test_two_organisations_may_hold_the_same_certificate(
    session: scoped_session[Session], actor: Actor, cast: Cast, now: datetime
) -> None:
    _, upload = good(now)
    uploading.store(upload, actor, now)
    uploading.store(upload, Actor(cast.charlie.id, cast.other_organisation.id), now)
    assert stored(session) == 2


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x30\x82\x01\x0a\x02\x01\x03\x30", "is_pkcs12"),
        (b"\x30\x82\x01\x0a\x30\x82\x01\x01", "is_der"),
        (b"GIF89a\x00\x01", "not_text"),
    ],
)
def test_binary_file_is_named(data: bytes, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        text_of(data)
    assert refusal.value.code == code


def test_text_with_a_byte_order_mark_is_read() -> None:
    assert text_of("\ufeff-----BEGIN".encode()) == "-----BEGIN"
    assert "-----BEGIN" in text_of("-----BEGIN".encode("utf-16"))


def test_confirmed_specification_must_agree_with_the_certificate(
    session: scoped_session[Session], factory: Factory, actor: Actor, now: datetime
) -> None:
    _, upload = good(now)
    product = factory.product(brand="perennial")
    certificate = uploading.store(upload, actor, now)
    wrong = replace(product.spec, validation_type=ValidationType.OV)
    with pytest.raises(DomainError, match="spec_not_offered"):
        uploading.confirm_spec(certificate, wrong, actor, now)
    uploading.confirm_spec(certificate, product.spec, actor, now)
    session.expire_all()
    assert certificate.spec == Spec(
        product.domain_type, product.validation_type, "perennial", Grade(product.grade)
    )
    with pytest.raises(DomainError, match="spec_confirmed_already"):
        uploading.confirm_spec(certificate, product.spec, actor, now)

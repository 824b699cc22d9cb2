"""Taking in a certificate that was bought elsewhere, and confirming what it cannot say of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.domain.certificate import PrivateKey, same_public_key, to_pem
from portal.domain.crl import crl_url_of
from portal.domain.errors import DomainError
from portal.domain.spec import Spec, derive
from portal.extensions import db
from portal.models.certificate import Certificate, Source
from portal.models.types import new_id
from portal.services import catalogue, crl_watching
from portal.services.acting import Actor, audit
from portal.services.key_reading import has_key, read_private_key
from portal.services.pem_reading import ReadChain, read_chain
from portal.services.private_keys import seal_certificate_key
from portal.settings import MAX_UPLOAD_BYTES


@dataclass(frozen=True)
class Upload:
    """What a customer gave: PEM texts, any of them but the first empty. The key may stand in the first one too."""

    certificate: str
    chain: str = ""
    key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    name: str = ""

    @property
    def size(self) -> int:
        return sum(len(part.encode()) for part in (self.certificate, self.chain, self.key))


def store(upload: Upload, actor: Actor, now: datetime) -> Certificate:
    """Check an upload and store it, its key sealed; or raise DomainError and store nothing.

    Beside the codes of read_chain and read_private_key: upload_too_large, nothing_uploaded, key_mismatch,
    duplicate_upload (with certificate_id).
    """
    if upload.size > MAX_UPLOAD_BYTES:
        raise DomainError("upload_too_large", kib=MAX_UPLOAD_BYTES // 1024)
    if not upload.certificate.strip():
        raise DomainError("nothing_uploaded")
    read = read_chain(f"{upload.certificate}\n{upload.chain}", now)
    _refuse_duplicate(actor.organisation_id, read.facts.sha256)
    key = _matching_key(upload, read)
    certificate = _certificate(read, upload.name, actor.organisation_id, now)
    if key is not None:
        certificate.private_key = seal_certificate_key(certificate, key)
    _save(certificate, actor, now)
    return certificate


def _matching_key(upload: Upload, read: ReadChain) -> PrivateKey | None:
    text = upload.key if upload.key.strip() else upload.certificate
    if not upload.key.strip() and not has_key(text):
        return None
    key = read_private_key(text, upload.passphrase)
    if not same_public_key(key.public_key(), read.chain[0].public_key()):
        raise DomainError("key_mismatch")
    return key


def _certificate(read: ReadChain, name: str, organisation_id: str, now: datetime) -> Certificate:
    facts = read.facts
    derived = derive(facts.names, facts.issuer, facts.policy_oids)
    return Certificate(
        id=new_id(),
        organisation_id=organisation_id,
        source=Source.UPLOADED,
        name=(name.strip() or facts.names[0])[:255],
        names=list(facts.names),
        names_text=" ".join(facts.names),
        domain_type=derived.domain_type,
        validation_type=derived.validation_type,
        brand=derived.brand,
        grade=derived.grade,
        issuer="".join(filter(str.isprintable, facts.issuer))[:255],
        serial=facts.serial[:64],
        sha256=facts.sha256,
        key_type=facts.key_type,
        not_before=facts.not_before,
        not_after=facts.not_after,
        leaf_pem=to_pem(read.chain[:1]),
        chain_pem=to_pem(read.chain[1:]),
        has_client_auth=facts.has_client_auth,
        crl_url=crl_url_of(read.chain[0]) or "",
        created_at=now,
    )


def _save(certificate: Certificate, actor: Actor, now: datetime) -> None:
    has_private_key = certificate.private_key is not None
    db.session.add(certificate)
    audit(actor, "certificate.upload", "certificates", certificate.id, now, has_key=has_private_key)
    try:
        crl_watching.watch(certificate)
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        _refuse_duplicate(certificate.organisation_id, certificate.sha256)
        raise


def _refuse_duplicate(organisation_id: str, sha256: str) -> None:
    known = select(Certificate.id).where(
        Certificate.organisation_id == organisation_id, Certificate.sha256 == sha256
    )
    if (certificate_id := db.session.scalar(known)) is not None:
        raise DomainError("duplicate_upload", certificate_id=certificate_id)


def confirm_spec(certificate: Certificate, spec: Spec, actor: Actor, now: datetime) -> None:
    """Fill in the parts of the specification that the certificate does not tell, from what the catalogue sells.

    Raises DomainError: spec_confirmed_already, spec_not_offered (not sold, or it contradicts the certificate).
    """
    if certificate.spec is not None:
        raise DomainError("spec_confirmed_already")
    if spec not in catalogue.choices_for(certificate, catalogue.products_on_sale()):
        raise DomainError("spec_not_offered")
    certificate.validation_type, certificate.brand, certificate.grade = (
        spec.validation_type,
        spec.brand,
        spec.grade,
    )
    audit(actor, "specification.confirm", "certificates", certificate.id, now, grade=spec.grade.value)
    db.session.commit()

"""One certificate: its line of versions, its chain, its key for download."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import aliased

from portal.domain.certificate import ODD_CERTIFICATE, split_pem
from portal.domain.errors import DomainError
from portal.domain.keys import key_to_pem
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.services.acting import Actor, audit
from portal.services.private_keys import open_certificate_key


def get_certificate(certificate_id: str, organisation_id: str) -> Certificate:
    """A certificate of this organisation. Raises DomainError("certificate_not_found")."""
    query = select(Certificate).where(
        Certificate.id == certificate_id, Certificate.organisation_id == organisation_id
    )
    certificate = db.session.scalar(query)
    if certificate is None:
        raise DomainError("certificate_not_found")
    return certificate


def versions_of(certificate: Certificate) -> tuple[Certificate, ...]:
    """The whole line that a certificate belongs to, the newest version first: one query."""
    start = Certificate.id == certificate.id
    back = select(Certificate.id, Certificate.predecessor_id).where(start).cte(recursive=True)
    older, newer = aliased(Certificate), aliased(Certificate)
    back = back.union(select(older.id, older.predecessor_id).join(back, older.id == back.c.predecessor_id))
    forth = select(Certificate.id).where(start).cte(recursive=True)
    forth = forth.union(select(newer.id).join(forth, newer.predecessor_id == forth.c.id))
    line = select(Certificate).where(
        Certificate.organisation_id == certificate.organisation_id,
        or_(Certificate.id.in_(select(back.c.id)), Certificate.id.in_(select(forth.c.id))),
    )
    return tuple(db.session.scalars(line.order_by(Certificate.version.desc(), Certificate.created_at.desc())))


@dataclass(frozen=True)
class Link:
    """One certificate of a chain, in words."""

    subject: str
    issuer: str
    not_after: datetime
    is_leaf: bool


def chain_of(certificate: Certificate) -> tuple[Link, ...]:
    """The chain, leaf first, for showing; what does not read any more is left out."""
    links = []
    try:
        parsed = split_pem(certificate.fullchain_pem)
    except DomainError:
        return ()
    for position, one in enumerate(parsed):
        try:
            subject, issuer = one.subject.rfc4514_string(), one.issuer.rfc4514_string()
        except ODD_CERTIFICATE:
            subject = issuer = ""
        links.append(Link(subject, issuer, one.not_valid_after_utc, is_leaf=position == 0))
    return tuple(links)


def file_stem(certificate: Certificate) -> str:
    """What downloaded files are called: the first name, safe everywhere."""
    return certificate.names[0].replace("*", "_").strip(".") if certificate.names else certificate.id


def key_archive(certificate: Certificate, actor: Actor, now: datetime) -> bytes:
    """A zip of the full chain and the private key (PEM), as Nginx and most servers read them. Audited.

    Raises DomainError("no_private_key").
    """
    stem = file_stem(certificate)
    key = key_to_pem(open_certificate_key(certificate))
    audit(actor, "certificate.download_key", "certificates", certificate.id, now)
    db.session.commit()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{stem}.pem", certificate.fullchain_pem)
        archive.writestr(f"{stem}.key", key)
    return packed.getvalue()

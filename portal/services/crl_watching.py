"""Which revocation lists are read: those that certificates in use name."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.domain.certificate import split_pem
from portal.domain.crl import crl_url_of
from portal.domain.errors import DomainError
from portal.domain.revocation import CRL_TRANSITIONS, CrlEvent, CrlState
from portal.domain.states import advance
from portal.extensions import db
from portal.models.authority import CrlSource
from portal.models.certificate import Certificate, Source
from portal.models.types import new_id
from portal.queue import JobName, enqueue_after_commit
from portal.services.acting import note_change
from portal.services.operations import WORKER_ACTOR

#: However many certificates are uploaded, a list is not fetched more often than this.
LEAST_PAUSE = timedelta(minutes=10)

#: Old certificates looked at in one go.
AT_ONCE = 200


def watch(certificate: Certificate) -> None:
    """Have the list that a certificate names read from now on, within the caller's transaction that stores it.

    An uploaded one may be revoked already: its list is read soon, changed or not. What was issued here just now is not.
    """
    if not certificate.crl_url:
        return
    now = certificate.created_at
    source = db.session.scalar(select(CrlSource).where(CrlSource.url == certificate.crl_url))
    if source is None:
        _add(certificate.crl_url, now)
    elif source.state is CrlState.ENDED:
        _go_on(source, now)
    elif certificate.source is Source.UPLOADED:
        _make_due(source, max(now, source.read_at + LEAST_PAUSE) if source.read_at else now)


def catch_up(now: datetime) -> int:
    """Look at certificates from before lists were watched, some at a time; returns how many. Commits.

    One that names no list is marked with an empty address, so that it is looked at once.
    """
    query = select(Certificate).where(
        Certificate.crl_url.is_(None), Certificate.replaced_at.is_(None), Certificate.not_after > now
    )
    found = db.session.scalars(query.limit(AT_ONCE)).all()
    for certificate in found:
        certificate.crl_url = _named_by(certificate) or ""
        db.session.flush()
        watch(certificate)
    db.session.commit()
    return len(found)


def _named_by(certificate: Certificate) -> str | None:
    try:
        return crl_url_of(split_pem(certificate.leaf_pem)[0])
    except DomainError:
        return None


def find_source(url: str | None) -> CrlSource | None:
    """How a list stands; None for one that is not read."""
    return db.session.scalar(select(CrlSource).where(CrlSource.url == url)) if url else None


def _add(url: str, now: datetime) -> None:
    """Two may store the first certificate of a list at once: one of them adds it."""
    dialect = postgresql if db.session.connection().dialect.name == "postgresql" else sqlite
    values = {
        "id": new_id(),
        "url": url,
        "state": CrlState.ACTIVE,
        "created_at": now,
        "next_attempt_at": now,
    }
    statement = dialect.insert(CrlSource).values(**values).on_conflict_do_nothing().returning(CrlSource.id)
    added = db.session.scalar(statement)
    if added is not None:
        enqueue_after_commit(db.session(), JobName.READ_CRLS, [added])


def _go_on(source: CrlSource, now: datetime) -> None:
    to_state = advance(CRL_TRANSITIONS, source.state, CrlEvent.WATCH)
    values: dict[str, Any] = {"state": to_state, "next_attempt_at": now, "etag": None, "rung_until": None}
    ended = update(CrlSource).where(CrlSource.id == source.id, CrlSource.state == CrlState.ENDED)
    if db.session.execute(ended.values(**values)).rowcount == 1:  # type: ignore[attr-defined]
        change = (CrlState.ENDED, CrlEvent.WATCH, to_state)
        note_change(CrlSource.__tablename__, source.id, change, WORKER_ACTOR, now)


def _make_due(source: CrlSource, at: datetime) -> None:
    """Forget what was read, so that the next reading looks for the new certificate too."""
    active = update(CrlSource).where(CrlSource.id == source.id, CrlSource.state == CrlState.ACTIVE)
    db.session.execute(active.values(etag=None))
    db.session.execute(active.where(CrlSource.next_attempt_at > at).values(next_attempt_at=at))

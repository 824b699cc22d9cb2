"""Reading revocation lists, once a day each: OCSP is optional by now, lists are what CAs must publish."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, BinaryIO

import structlog
from sqlalchemy import select

from portal.adapters import crl_download
from portal.adapters.crl_download import Fetched
from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.domain.revocation import CRL_TRANSITIONS, CrlEvent, CrlState
from portal.extensions import db
from portal.models.authority import CrlSource
from portal.models.certificate import Certificate
from portal.queue import JobName
from portal.services import crl_findings, crl_process, publishing
from portal.services.crl_findings import Finding, Line
from portal.services.crl_watching import LEAST_PAUSE, watch
from portal.services.operations import Advance, Kind, Wait, leave_transaction, settings

__all__ = ["KIND", "watch"]

log = structlog.get_logger(__name__)

DAILY = timedelta(days=1)
#: Lists are read over this part of the day before they are due, each at its own moment.
SPREAD = timedelta(hours=4)

#: A list is believed if it is signed for the issuers of these newest certificates; others are looked at when found.
SAMPLE = 100

#: Certificates acted on in one go. With more on a list (a CA in trouble) the rest follows soon.
MOST_AT_ONCE = 300

#: When the rest of a list is gone on with.
REST_AFTER = timedelta(minutes=1)

#: Longer than the process's own CPU limit: only a process that is starved reaches it.
WALL_SECONDS = 120


@dataclass(frozen=True)
class Opened:
    """An opened list: the issuers (PEM) that signed it, its dates, and its lines, to be read once."""

    signed_by: frozenset[str]
    next_update: datetime | None
    lines: Iterator[Line]


def read(source: CrlSource, now: datetime) -> Advance | Wait:
    """Fetch the list if it has changed, and act on what it says of our certificates."""
    issuers = _issuers(source.url, now)
    if issuers is None:
        crl_findings.settle(source.url, (), now)
        return Advance(CrlEvent.END, due_at=None)
    leave_transaction()
    with tempfile.TemporaryFile() as file:
        fetched = _fetch(source, file, now)
        if fetched.is_unchanged:
            return _again(source, source.etag, source.next_update, now)
        with _opened(file, source.url, issuers, want_lines=True) as crl:
            if not crl.signed_by:
                raise AdapterError("crl_not_signed", permanent=True)
            is_all = _act(source.url, file, crl, issuers, now)
            return _again(source, fetched.etag if is_all else None, crl.next_update, now, is_all=is_all)


def _fetch(source: CrlSource, file: BinaryIO, now: datetime) -> Fetched:
    """Write the list into `file`; one that we publish ourselves is not fetched over the network."""
    own = publishing.find_crl(source.url, now)
    leave_transaction()
    if own is not None:
        file.write(own)
        return Fetched(is_unchanged=False, etag=None)
    return crl_download.fetch(
        source.url,
        source.etag,
        file,
        timeout=settings().step_timeout,
        allowed_networks=settings().allowed_networks,
    )


def _issuers(url: str, now: datetime) -> frozenset[str] | None:
    """Who must have signed the list: the issuers of the newest certificates that name it. None if none is in use."""
    query = (
        select(Certificate)
        .where(Certificate.crl_url == url, Certificate.not_after > now, Certificate.replaced_at.is_(None))
        .order_by(Certificate.created_at.desc())
        .limit(SAMPLE)
    )
    used = db.session.scalars(query).all()
    if not used:
        return None
    return frozenset(pem for one in used if (pem := crl_findings.issuer_of(one)) is not None)


def _act(url: str, file: IO[bytes], crl: Opened, asked: frozenset[str], now: datetime) -> bool:
    """Act on every certificate whose own issuer signed the list; False where some are left for the next go."""
    found = crl_findings.find(url, crl.lines, now)
    issuers = {one.certificate.id: crl_findings.issuer_of(one.certificate) for one in found}
    signed_by = crl.signed_by
    if unknown := frozenset(pem for pem in issuers.values() if pem is not None) - asked:
        with _opened(file, url, unknown, want_lines=False) as again:
            signed_by |= again.signed_by
    ours = [one for one in found if issuers[one.certificate.id] in signed_by]
    ours.sort(key=lambda one: (one.is_hold, one.certificate.not_after))
    done = [_act_on(finding, now) for finding in ours[:MOST_AT_ONCE]]
    crl_findings.settle(url, [one.certificate.id for one in ours if one.is_hold], now)
    return all(done) and len([one for one in ours if not one.is_hold]) <= MOST_AT_ONCE


def _act_on(finding: Finding, now: datetime) -> bool:
    """Act on one. False where it was changed by somebody at this very moment: it is looked at again."""
    about = {"certificate": finding.certificate.id, "reason": finding.line.reason}
    try:
        crl_findings.act_on(finding, now)
    except DomainError as error:
        db.session.rollback()
        log.warning("revoked_certificate_left", **about, code=error.code)
        return False
    log.warning("certificate_revoked", **about)
    return True


def _again(
    source: CrlSource, etag: str | None, next_update: datetime | None, now: datetime, *, is_all: bool = True
) -> Wait:
    """When to read again: within a day, at nextUpdate if that is sooner. A list that has run out is a warning only."""
    moment = int(source.id[:8], 16) / 2**32
    due = now + DAILY - SPREAD * moment
    is_expired = next_update is not None and next_update <= now
    if next_update is not None and not is_expired:
        due = min(due, next_update + LEAST_PAUSE * moment)
    values: dict[str, Any] = {"etag": etag, "read_at": now, "next_update": next_update}
    fine = {"attempts": 0, "polls": 0, "stopped_at": None, "error_code": None, "error_params": None}
    because = AdapterError("crl_expired", permanent=False) if is_expired else None
    until = max(due, now + LEAST_PAUSE) if is_all else now + REST_AFTER
    return Wait(until, values=values | fine, because=because)


@contextmanager
def _opened(
    file: IO[bytes], url: str, issuers: Sequence[str] | frozenset[str], *, want_lines: bool
) -> Iterator[Opened]:
    """Open the list in a process of its own. Raises AdapterError: crl_broken, crl_of_something_else, crl_too_large."""
    asked = sorted(issuers)
    header = json.dumps({"url": url, "issuers": asked, "lines": want_lines}).encode()
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile("w+") as answer:
        question.write(struct.pack(">I", len(header)) + header)
        file.seek(0)
        while chunk := file.read(1024 * 1024):
            question.write(chunk)
        question.seek(0)
        _run(question, answer)
        answer.seek(0)
        said = json.loads(answer.readline() or '{"error": "crl_broken"}')
        if "error" in said:
            raise AdapterError(said["error"], permanent=True)
        next_update = said["next_update"]
        signed_by = frozenset(asked[position] for position in said["verified"])
        yield Opened(signed_by, _moment(next_update) if next_update else None, _lines(answer))


def _run(question: IO[bytes], answer: IO[str]) -> None:
    command = [sys.executable, "-I", str(Path(crl_process.__file__))]
    try:
        done = subprocess.run(
            command,
            stdin=question,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            env={},
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AdapterError("crl_broken", permanent=True) from None
    if done.returncode != 0:
        raise AdapterError("crl_broken", permanent=True)


def _lines(answer: IO[str]) -> Iterator[Line]:
    for text in answer:
        serial, reason, at = text.split()
        yield Line(serial, int(reason), _moment(float(at)))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _on_stop(source: CrlSource, _now: datetime) -> None:
    """Any customer's certificate can name any address: nobody is mailed about it. Its certificates' pages show it."""
    log.warning("revocation_list_unreadable", url=source.url, code=source.error_code)


KIND: Kind[CrlSource] = Kind(
    name="revocation_list",
    model=CrlSource,
    transitions=CRL_TRANSITIONS,
    steps={CrlState.ACTIVE: read},
    job=JobName.READ_CRLS,
    on_stop=_on_stop,
)

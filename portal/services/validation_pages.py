"""Setting domain validation up: which names there are, one name or all of a certificate, choosing, looking now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, or_, select

from portal.domain.checks import CheckSubject
from portal.domain.errors import DomainError
from portal.domain.validation import NameReport, ValidationMethod, base_name
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting
from portal.models.validation import DnsCredential
from portal.services import check_rows, delegation, dns_credentials, domain_validations, preflight
from portal.services.acting import Actor
from portal.services.certificates import get_certificate
from portal.services.hosting import ACTIVE
from portal.services.operations import settings
from portal.services.paging import Cursor, after
from portal.services.validation_standings import CertificateView, NameView, name_views, views_of

PAGE_SIZE = 25

_HOSTED = exists().where(Hosting.certificate_id == Certificate.id, Hosting.state.in_(ACTIVE))


@dataclass(frozen=True)
class Place:
    """Where a page of the list begins: hosted certificates come first, the others behind them."""

    is_hosted: bool
    cursor: Cursor

    def __str__(self) -> str:
        return f"{'hosted' if self.is_hosted else 'other'}.{self.cursor}"

    @classmethod
    def parse(cls, text: str | None) -> Place | None:
        """Read what `str()` wrote; None, the first page, for anything else."""
        part, _, rest = (text or "").partition(".")
        cursor = Cursor.parse(rest)
        return cls(part == "hosted", cursor) if cursor is not None and part in ("hosted", "other") else None


@dataclass(frozen=True)
class ListPage:
    """Some certificates with their names, and where the next ones begin."""

    rows: tuple[CertificateView, ...]
    next: Place | None


@dataclass(frozen=True)
class Scope:
    """Which names of an organisation are meant: one, or all of a certificate."""

    organisation_id: str
    name: str = ""
    certificate_id: str = ""


@dataclass(frozen=True)
class Setup:
    """Everything that is chosen from, for the names of a scope. `targets` says where each delegation has to lead;
    it is empty while this service has no zone that was tried out. `accounts` are the CAs that will be asked.
    """

    scope: Scope
    names: tuple[NameView, ...]
    certificates: tuple[CertificateView, ...]
    targets: Mapping[str, str]
    credentials: Sequence[DnsCredential]
    portal_url: str

    @property
    def methods(self) -> set[ValidationMethod]:
        return {one.method for one in self.names}

    @property
    def is_wildcard(self) -> bool:
        return any(one.is_wildcard for one in self.names)

    @property
    def needs_proof(self) -> bool:
        return any(one.needs_proof for one in self.names)

    @property
    def account(self) -> CaAccount | None:
        """For whom it is rehearsed: the CA of a hosted certificate before others."""
        looked = [one for one in self.certificates if one.can_look]
        hosted = [one for one in looked if one.hosting is not None]
        return next((one.account for one in hosted + looked), None)

    @property
    def hostings(self) -> list[Hosting]:
        return [one.hosting for one in self.certificates if one.hosting is not None]


def list_certificates(organisation_id: str, text: str, place: Place | None, now: datetime) -> ListPage:
    """Certificates in use with the standing of their names: hosted ones first, then the soonest expiry."""
    found: list[tuple[bool, Certificate]] = []
    for is_hosted in (True, False):
        if (place is None or place.is_hosted or not is_hosted) and len(found) <= PAGE_SIZE:
            cursor = place.cursor if place is not None and place.is_hosted is is_hosted else None
            most = PAGE_SIZE + 1 - len(found)
            found += [(is_hosted, one) for one in _fetch(organisation_id, text, is_hosted, cursor, most, now)]
    shown = found[:PAGE_SIZE]
    next_place = None
    if len(found) > PAGE_SIZE:
        is_hosted, last = shown[-1]
        next_place = Place(is_hosted, Cursor(last.not_after, last.id))
    return ListPage(views_of([one for _, one in shown], now), next_place)


def _fetch(
    organisation_id: str, text: str, is_hosted: bool, cursor: Cursor | None, most: int, now: datetime
) -> Sequence[Certificate]:
    query = select(Certificate).where(
        Certificate.organisation_id == organisation_id,
        Certificate.replaced_at.is_(None),
        _HOSTED if is_hosted else ~_HOSTED & (Certificate.not_after > now) & Certificate.revoked_at.is_(None),
    )
    if wanted := text.strip().lower():
        query = query.where(Certificate.names_text.contains(wanted, autoescape=True))
    query = query.order_by(Certificate.not_after, Certificate.id)
    return db.session.scalars(after(query, Certificate.not_after, Certificate.id, cursor).limit(most)).all()


def read(scope: Scope, now: datetime) -> Setup:
    """What can be chosen for the names of a scope. A name that nobody chose a way for gets its row.

    Raises DomainError: certificate_not_found, not_found (no certificate in use of this organisation has the name).
    """
    if scope.certificate_id:
        certificates = [get_certificate(scope.certificate_id, scope.organisation_id)]
        wanted = list(dict.fromkeys(base_name(one.lower()) for one in certificates[0].names))
    else:
        wanted = [base_name(scope.name.lower())]
        certificates = _with_name(scope.organisation_id, wanted[0], now)
    if not certificates:
        raise DomainError("not_found")
    rows = {row.name: row for row in domain_validations.ensure(scope.organisation_id, wanted, now)}
    views = views_of(certificates, now)
    written = [one for view in views for one in view.certificate.names if base_name(one.lower()) in rows]
    is_needed = any(view.needs_proof for view in views)
    zone = delegation.find_verified()
    return Setup(
        scope=scope,
        names=name_views(written, rows, domain_validations.first_method(), is_needed),
        certificates=views,
        targets={name: f"{row.delegation_label}.{zone.zone}" for name, row in rows.items()} if zone else {},
        credentials=dns_credentials.list_for(scope.organisation_id),
        portal_url=settings().base_url,
    )


def _with_name(organisation_id: str, name: str, now: datetime) -> list[Certificate]:
    """The certificates in use that have a name, with or without a wildcard label."""
    query = select(Certificate).where(
        Certificate.organisation_id == organisation_id,
        Certificate.replaced_at.is_(None),
        or_(_HOSTED, Certificate.not_after > now),
        Certificate.names_text.contains(name, autoescape=True),
    )
    found = db.session.scalars(query.order_by(Certificate.not_after, Certificate.id))
    return [one for one in found if name in {base_name(each.lower()) for each in one.names}]


def choose(
    scope: Scope, method: ValidationMethod, actor: Actor, now: datetime, dns_credential_id: str | None = None
) -> Setup:
    """Prove the names of a scope by this way from now on; hosted ones are looked at again at once.

    Raises DomainError: those of `read`, dns_credential_not_found, delegation_zone_unready, wildcard_needs_dns.
    """
    setup = read(scope, now)
    if method is ValidationMethod.HTTP and setup.is_wildcard:
        raise DomainError(
            "wildcard_needs_dns", name=next(f"*.{one.name}" for one in setup.names if one.is_wildcard)
        )
    for one in setup.names:
        domain_validations.set_method(scope.organisation_id, one.name, method, actor, now, dns_credential_id)
    _look_again(setup, actor, now)
    return setup


def check(scope: Scope, actor: Actor, now: datetime) -> tuple[Setup, tuple[NameReport, ...]]:
    """Look at the names of a scope. All names of a hosted certificate are looked at by a worker, which tells nothing
    yet; else the reports are the answer, and what hangs on them (a renewal that waits, an alarm) follows by itself.
    """
    setup = read(scope, now)
    reports: tuple[NameReport, ...] = ()
    if not (scope.certificate_id and setup.certificates[0].check) and setup.account is not None:
        written = [one for view in setup.names for one in view.written]
        reports = preflight.rehearse(scope.organisation_id, written, setup.account, now)
    _look_again(setup, actor, now)
    return read(scope, now), reports


def _look_again(setup: Setup, actor: Actor, now: datetime) -> None:
    for hosting in setup.hostings:
        check_rows.look_now(hosting.id, CheckSubject.VALIDATION, actor, now)


def panel(certificate: Certificate, now: datetime) -> CertificateView:
    """How the names of one certificate stand."""
    return views_of([certificate], now)[0]

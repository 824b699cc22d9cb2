"""How the names of certificates stand: whether their CA could be shown today that they are the organisation's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.adapters.ca import registry as ca_registry
from portal.domain.checks import CheckState, CheckSubject
from portal.domain.errors import DomainError
from portal.domain.validation import Severity, ValidationMethod, base_name
from portal.extensions import db
from portal.models.catalogue import CaAccount, Product
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting
from portal.models.validation import DomainValidation, HostingCheck
from portal.services import catalogue, domain_validations, preflight
from portal.services.hosting import ACTIVE


class Standing(StrEnum):
    """How a name stands, the most pressing first. UNNEEDED: its CA asks for no proof."""

    BLOCKED = "blocked"
    WARNING = "warning"
    UNSEEN = "unseen"
    OK = "ok"
    UNNEEDED = "unneeded"


_OF_SEVERITY: Mapping[str, Standing] = {
    Severity.BLOCKING.value: Standing.BLOCKED,
    Severity.WARNING.value: Standing.WARNING,
}
_PRESSING = {standing: rank for rank, standing in enumerate(Standing)}


@dataclass(frozen=True)
class NameView:
    """A name that is proved. `written` is how certificates have it: with its wildcard label, without it, or both."""

    name: str
    written: tuple[str, ...]
    method: ValidationMethod
    row: DomainValidation | None = None
    needs_proof: bool = True

    @property
    def standing(self) -> Standing:
        if not self.needs_proof:
            return Standing.UNNEEDED
        if self.row is None or self.row.checked_at is None:
            return Standing.UNSEEN
        return _OF_SEVERITY.get(self.row.result_severity or "", Standing.OK)

    @property
    def checked_at(self) -> datetime | None:
        return self.row.checked_at if self.row is not None and self.needs_proof else None

    @property
    def code(self) -> str | None:
        """The worst finding; portal.web.preflight_words has its sentence."""
        return self.row.result_code if self.row is not None and self.needs_proof else None

    @property
    def params(self) -> Mapping[str, Any]:
        return (self.row.result_params if self.row is not None else None) or {}

    @property
    def is_wildcard(self) -> bool:
        return any(one.startswith("*.") for one in self.written)


@dataclass(frozen=True)
class CertificateView:
    """A certificate with its names. `account` is where its renewal will be asked for; None where nobody knows yet.
    `is_looking`: a look was asked for and has not been made.
    """

    certificate: Certificate
    hosting: Hosting | None
    account: CaAccount | None
    names: tuple[NameView, ...]
    check: HostingCheck | None = None
    is_looking: bool = False

    @property
    def needs_proof(self) -> bool:
        return needs_proof(self.account)

    @property
    def can_look(self) -> bool:
        return self.account is not None and preflight.is_rehearsed(self.account)

    @property
    def pressing(self) -> list[NameView]:
        """The names, those that need somebody first."""
        return sorted(self.names, key=lambda one: _PRESSING[one.standing])

    def fitting(self, text: str) -> list[NameView]:
        """The names that contain a text, those that need somebody first; all where none does."""
        wanted = text.strip().lower()
        found = [one for one in self.pressing if any(wanted in each for each in one.written)]
        return found or self.pressing

    @property
    def next_look_at(self) -> datetime | None:
        return self.check.next_attempt_at if self.check is not None and self.needs_proof else None


@dataclass
class _Known:
    """What several certificates share, loaded at once."""

    hostings: dict[str, Hosting] = field(default_factory=dict)
    checks: dict[str, HostingCheck] = field(default_factory=dict)
    rows: dict[str, DomainValidation] = field(default_factory=dict)
    products: Sequence[Product] = ()
    method: ValidationMethod = ValidationMethod.OPERATOR


def needs_proof(account: CaAccount | None) -> bool:
    """Whether the CA wants to see that names are the customer's; while nobody knows the CA, it is taken for granted."""
    return account is None or ca_registry.KINDS[account.kind].validates


def views_of(certificates: Sequence[Certificate], now: datetime) -> tuple[CertificateView, ...]:
    """Certificates of one organisation with the standing of their names: five queries for all of them."""
    if not certificates:
        return ()
    known = _load(certificates)
    return tuple(_view(one, known, now) for one in certificates)


def _load(certificates: Sequence[Certificate]) -> _Known:
    ids = [one.id for one in certificates]
    names = [name for one in certificates for name in one.names]
    hosted = select(Hosting).where(Hosting.certificate_id.in_(ids), Hosting.state.in_(ACTIVE))
    hosted = hosted.options(joinedload(Hosting.product).joinedload(Product.ca_account))
    hostings = {one.certificate_id: one for one in db.session.scalars(hosted)}
    checks = select(HostingCheck).where(
        HostingCheck.hosting_id.in_([one.id for one in hostings.values()]),
        HostingCheck.subject == CheckSubject.VALIDATION,
        HostingCheck.state == CheckState.ACTIVE,
    )
    rows = domain_validations.list_for(certificates[0].organisation_id, names)
    return _Known(
        hostings,
        {one.hosting_id: one for one in db.session.scalars(checks)},
        {one.name: one for one in rows},
        catalogue.products_on_sale(),
        domain_validations.first_method(),
    )


def _view(certificate: Certificate, known: _Known, now: datetime) -> CertificateView:
    hosting = known.hostings.get(certificate.id)
    account = hosting.product.ca_account if hosting is not None else _account_for(certificate, known.products)
    names = name_views(certificate.names, known.rows, known.method, needs_proof(account))
    check = known.checks.get(hosting.id) if hosting is not None else None
    due = check.next_attempt_at if check is not None else None
    return CertificateView(
        certificate, hosting, account, names, check, is_looking=due is not None and due <= now
    )


def _account_for(certificate: Certificate, products: Sequence[Product]) -> CaAccount | None:
    try:
        return catalogue.product_for(certificate, products).ca_account
    except DomainError:
        return None


def name_views(
    written: Iterable[str],
    rows: Mapping[str, DomainValidation],
    method: ValidationMethod,
    is_needed: bool,
) -> tuple[NameView, ...]:
    """The names that are proved, each once; one that nobody chose a way for has that `method`."""
    by_base: dict[str, list[str]] = {}
    for one in written:
        forms = by_base.setdefault(base_name(one.lower()), [])
        forms.extend([one.lower()] if one.lower() not in forms else [])
    found = ((name, tuple(forms), rows.get(name)) for name, forms in by_base.items())
    return tuple(
        NameView(name, forms, row.method if row is not None else method, row, is_needed)
        for name, forms, row in found
    )

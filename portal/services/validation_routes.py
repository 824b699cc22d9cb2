"""By which way a name is proved, and where its record goes: the organisation's own choice, else the operator's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from portal.adapters.ca.base import Authorization, CaOrder, Challenge, ChallengeKind
from portal.adapters.dns.delegation import follow_delegation
from portal.adapters.errors import AdapterError
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.models.validation import DelegationZone, DnsCredential, DomainValidation
from portal.services import delegation, domain_validations
from portal.services.operations import leave_transaction
from portal.services.side_by_side import side_by_side
from portal.services.validation_records import Place

#: RFC 8555, 8.4.
CHALLENGE_LABEL = "_acme-challenge"


@dataclass(frozen=True)
class Routes:
    """What one organisation has chosen for the names of one order; loaded whole, so that looking at DNS can begin."""

    organisation_id: str
    account: CaAccount
    rows: Mapping[str, DomainValidation]
    credentials: Mapping[str, DnsCredential]
    zone: DelegationZone | None

    def method_of(self, name: str) -> ValidationMethod:
        row = self.rows.get(name)
        return row.method if row is not None else ValidationMethod.OPERATOR

    def resolver(self, method: ValidationMethod) -> str | None:
        """Who is asked where CNAMEs lead, and which name servers a zone has."""
        own = self.account.config.get("resolver")
        return own or (self.zone.resolver if self.zone and method is ValidationMethod.DELEGATION else None)


def load(renewal: Renewal, account: CaAccount, order: CaOrder) -> Routes:
    """The choices for the names of an order. Leaves no transaction open."""
    names = [one.name for one in order.authorizations]
    rows = {row.name: row for row in domain_validations.list_for(renewal.organisation_id, names)}
    credentials = {name: row.dns_credential for name, row in rows.items() if row.dns_credential is not None}
    is_delegated = any(row.method is ValidationMethod.DELEGATION for row in rows.values())
    zone = delegation.find_verified() if is_delegated else None
    leave_transaction()
    return Routes(renewal.organisation_id, account, rows, credentials, zone)


def check_bound(routes: Routes, authorization: Authorization) -> None:
    """A name that another organisation has proved through us is proved anew by what binds it to this one: a delegation
    to its own label, or a record that its own credentials wrote. The site's redirect to the portal, the operator's DNS
    access or a proof that the CA remembers would speak for the other one.

    Raises AdapterError("name_held_by_another", permanent), and as `places` does.
    """
    name, method = authorization.name, routes.method_of(authorization.name)
    own = routes.rows.get(name)
    if own is not None and own.proved_at is not None:
        return
    is_held = domain_validations.is_held_by_another(routes.organisation_id, name)
    leave_transaction()
    if not is_held or (method is ValidationMethod.CREDENTIALS and authorization.is_pending):
        return
    if method is not ValidationMethod.DELEGATION:
        raise AdapterError("name_held_by_another", permanent=True, name=name)
    places(routes, [name])


def choose(routes: Routes, authorization: Authorization) -> Challenge:
    """The challenge of the chosen method. Wildcard names can only be proved by DNS (RFC 8555, 8.4 and 7.1.3).

    Raises AdapterError (permanent): challenge_not_offered, wildcard_needs_dns.
    """
    wanted = wanted_kind(routes, authorization)
    if authorization.is_wildcard and wanted is not ChallengeKind.DNS_01:
        raise AdapterError("wildcard_needs_dns", permanent=True, name=f"*.{authorization.name}")
    offered = next((one for one in authorization.challenges if one.kind is wanted), None)
    if offered is None:
        raise AdapterError(
            "challenge_not_offered", permanent=True, name=authorization.name, method=wanted.value
        )
    return offered


def places(routes: Routes, names: Sequence[str]) -> list[Place]:
    """Where the record for each name goes: to the end of the CNAMEs of its _acme-challenge.

    Raises AdapterError: dns_unavailable, dns_delegation_broken, dns_delegation_foreign (it leads to what belongs to
    another organisation), dns_not_configured, delegation_zone_unready (temporary: the operators mend it).
    """
    asked = [_question(routes, name) for name in names]
    ends = side_by_side(lambda one: follow_delegation(*one), asked)
    return [_place(routes, name, end) for name, end in zip(names, ends, strict=True)]


def _question(routes: Routes, name: str) -> tuple[str, str | None]:
    """Whose CNAMEs are to be followed, and who is asked."""
    method = routes.method_of(name)
    if method is ValidationMethod.DELEGATION and routes.zone is None:
        raise AdapterError("delegation_zone_unready", permanent=False, name=name)
    return f"{CHALLENGE_LABEL}.{name}", routes.resolver(method)


def _place(routes: Routes, name: str, end: str) -> Place:
    method = routes.method_of(name)
    if method is ValidationMethod.DELEGATION and routes.zone is not None:
        target = f"{routes.rows[name].delegation_label}.{routes.zone.zone}"
        if end != target:
            own = f"{CHALLENGE_LABEL}.{name}"
            raise AdapterError("dns_delegation_broken", permanent=True, name=own, target=end)
        return Place(method, target, routes.account, zone=routes.zone)
    _refuse_foreign(routes, name, end)
    if method is ValidationMethod.CREDENTIALS:
        credential = routes.credentials.get(name)
        if credential is None:
            raise AdapterError("dns_not_configured", permanent=True, name=name)
        return Place(method, end, routes.account, credential=credential)
    return Place(method, end, routes.account)


def wanted_kind(routes: Routes, authorization: Authorization) -> ChallengeKind:
    """The kind of challenge that the chosen method answers; the operator's way falls back to DNS for wildcards."""
    method = routes.method_of(authorization.name)
    if method is ValidationMethod.HTTP:
        return ChallengeKind.HTTP_01
    if method is ValidationMethod.OPERATOR and not authorization.is_wildcard:
        return ChallengeKind(routes.account.config.get("challenge", ChallengeKind.DNS_01))
    return ChallengeKind.DNS_01


def _refuse_foreign(routes: Routes, name: str, end: str) -> None:
    """A delegation is consent to one organisation: nobody else has a record written where it leads, by whatever way."""
    label, _, zone = end.partition(".")
    ours = delegation.find()
    if ours is not None and zone == ours.zone:
        theirs = select(DomainValidation.organisation_id).where(DomainValidation.delegation_label == label)
        owner = db.session.scalar(theirs)
        if owner is not None and owner != routes.organisation_id:
            raise AdapterError("dns_delegation_foreign", permanent=True, name=name)
    leave_transaction()

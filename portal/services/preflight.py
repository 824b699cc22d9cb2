"""Rehearsing validation: whether a CA would accept today that names are an organisation's, before it is asked.

A CA counts failures (five an hour and name at the largest one); a rehearsal costs nothing, and tells the customer what
to change while the certificate still has months to live.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import update

from portal.adapters.ca import registry as ca_registry
from portal.adapters.ca.base import ChallengeKind
from portal.adapters.dns.base import DnsProvider
from portal.adapters.dns.http_reach import Ports
from portal.adapters.errors import AdapterError
from portal.domain.validation import Finding, NameReport, Severity, ValidationMethod, base_name
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.validation import DomainValidation
from portal.services import ca_accounts, dns_credentials, domain_validations, http_probes
from portal.services.name_looks import Sight, Standpoint, look_at_all
from portal.services.operations import leave_transaction, settings

log = structlog.get_logger(__name__)

#: Codes that time alone may mend: tried again soon, nobody is called yet.
PASSING = frozenset({"dns_unavailable", "dns_throttled"})

#: Codes that the operators must mend. Renewals wait by the table of intervals, and go on as soon as it is done.
OPERATORS_MEND = frozenset({"delegation_zone_unready", "dns_not_configured", "operators_dns_refused"})

#: All the time that one rehearsal may take, as a part of the lease of the step that it belongs to.
PART_OF_LEASE = 0.5

_ORDER = {Severity.BLOCKING: 0, Severity.WARNING: 1, Severity.OK: 2}


def rehearse(
    organisation_id: str, names: Sequence[str], account: CaAccount, now: datetime
) -> tuple[NameReport, ...]:
    """A report for each name, and the worst finding kept with it; none for a CA that validates nothing by itself.

    Changes nothing outside and asks the CA for no order. Transactions of its own: none is open while it looks.
    """
    if not is_rehearsed(account):
        return ()
    wanted = list(dict.fromkeys(name.lower() for name in names))
    rows = {row.name: row for row in domain_validations.ensure(organisation_id, wanted, now)}
    sights = [_sight(name, rows[base_name(name)], account) for name in wanted]
    leave_transaction()
    reports = look_at_all(sights, _standpoint(account))
    _keep(list(rows.values()), reports, now)
    return reports


def is_rehearsed(account: CaAccount) -> bool:
    """Whether names are looked at before this account is asked: not for CAs of our own, nor where turned off."""
    return ca_registry.KINDS[account.kind].validates and account.config.get("rehearsal") != "no"


def stop_reason(reports: Sequence[NameReport]) -> AdapterError | None:
    """Why nothing should be asked of the CA now; None where nothing stands against it.

    A blocking finding is permanent: it needs a person. Where it is the operators', or a look could not be made, the
    error is temporary.
    """
    worst = [finding for report in reports if (finding := report.worst) is not None]
    blocking = [one for one in worst if one.severity is Severity.BLOCKING]
    theirs = [one for one in blocking if one.code not in OPERATORS_MEND]
    if theirs:
        return _error(theirs[0], permanent=True)
    unseen = [one for report in reports for one in report.findings if one.code in PASSING]
    return next((_error(one, permanent=False) for one in blocking + unseen), None)


def _error(finding: Finding, *, permanent: bool) -> AdapterError:
    error = AdapterError(finding.code, permanent=permanent)
    error.params = dict(finding.params)
    return error


def _sight(name: str, row: DomainValidation, account: CaAccount) -> Sight:
    kind = _challenge_kind(name, row.method, account)
    return Sight(
        name=name,
        method=row.method,
        kind=kind,
        target=domain_validations.delegation_target(row),
        provider=_provider(row, account) if kind is ChallengeKind.DNS_01 else None,
        probe=http_probes.make_probe() if kind is ChallengeKind.HTTP_01 else None,
    )


def _challenge_kind(name: str, method: ValidationMethod, account: CaAccount) -> ChallengeKind:
    """How the name is going to be proved; where the operator set the account up, wildcards go by DNS all the same."""
    if method is ValidationMethod.HTTP:
        return ChallengeKind.HTTP_01
    is_http = account.config.get("challenge") == ChallengeKind.HTTP_01.value and not name.startswith("*.")
    return ChallengeKind.HTTP_01 if method is ValidationMethod.OPERATOR and is_http else ChallengeKind.DNS_01


def _provider(row: DomainValidation, account: CaAccount) -> DnsProvider | AdapterError | None:
    """Who writes the records with other credentials than the service's own, or why that cannot be."""
    try:
        if row.method is ValidationMethod.OPERATOR:
            return ca_accounts.dns_provider(account)
        if row.method is ValidationMethod.CREDENTIALS and row.dns_credential is not None:
            return dns_credentials.provider(row.dns_credential)
    except AdapterError as error:
        return error
    return None


def _standpoint(account: CaAccount) -> Standpoint:
    here = settings()
    return Standpoint(
        deadline=time.monotonic() + here.lease_seconds * PART_OF_LEASE,
        resolver=account.config.get("resolver"),
        signed=here.dnssec_probe,
        identities=_identities(account),
        account_url=account.account_url,
        base_url=here.base_url,
        allowed_networks=here.allowed_networks,
        ports=Ports(here.challenge_http_port, here.challenge_https_port),
    )


def _identities(account: CaAccount) -> tuple[str, ...]:
    """What CAA records call this CA: as it says itself, or else the settings; a CA that is away says nothing."""
    try:
        said = ca_accounts.connect(account).caa_identities()
    except AdapterError as error:
        log.warning("caa_identities_unknown", account=account.name, code=error.code)
        said = ()
    return said or tuple(str(account.config.get("caa_identities") or "").replace(",", " ").split())


def _keep(rows: Sequence[DomainValidation], reports: Sequence[NameReport], now: datetime) -> None:
    """Store the worst finding of each name, unless its method was changed while we looked."""
    for row in rows:
        seen = [report.worst for report in reports if base_name(report.name) == row.name]
        found = sorted((one for one in seen if one is not None), key=lambda one: _ORDER[one.severity])
        same = update(DomainValidation).where(
            DomainValidation.id == row.id, DomainValidation.method == row.method
        )
        db.session.execute(same.values(checked_at=now, **_result(found[0] if found else None)))
    db.session.commit()


def _result(finding: Finding | None) -> dict[str, Any]:
    return {
        "result_code": finding.code if finding else None,
        "result_severity": finding.severity.value if finding else None,
        "result_params": dict(finding.params) if finding else None,
    }

"""How a name is proved to a CA without anybody's help at renewal (rule 12), and what a rehearsal found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ValidationMethod(StrEnum):
    """DELEGATION: CNAME of _acme-challenge into the service's zone. CREDENTIALS: TXT at the customer's DNS provider.
    HTTP: the portal answers for the site (redirect or proxy). OPERATOR: as the CA account is set up, by the operator.
    """

    DELEGATION = "delegation"
    CREDENTIALS = "credentials"
    HTTP = "http"
    OPERATOR = "operator"


class Severity(StrEnum):
    """BLOCKING: a CA would refuse. WARNING: it may work. OK: looked at and right."""

    OK = "ok"
    WARNING = "warning"
    BLOCKING = "blocking"


#: What a rehearsal finds that lies with the customer; portal.web.preflight_words says what to do about each.
CUSTOMER_CAN_MEND = frozenset(
    {
        "caa_closed",
        "caa_critical_unknown",
        "caa_forbids",
        "caa_other_account",
        "caa_other_method",
        "delegation_elsewhere",
        "delegation_loops",
        "delegation_missing",
        "dns_address_forbidden",
        "dns_credentials",
        "dns_permission",
        "dns_zone_missing",
        "dnssec_bogus",
        "http_address_forbidden",
        "http_redirect_refused",
        "http_unreachable",
        "http_wrong_answer",
        "wildcard_needs_dns",
    }
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `code` has a sentence in portal.web.messages, `params` fill it."""

    code: str
    severity: Severity
    params: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class NameReport:
    """What a rehearsal found for one name (with its wildcard label where it has one)."""

    name: str
    method: ValidationMethod
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Finding | None:
        """The finding to act on first; None where all is well."""
        order = (Severity.BLOCKING, Severity.WARNING)
        return next((one for level in order for one in self.findings if one.severity is level), None)

    @property
    def is_blocked(self) -> bool:
        return any(one.severity is Severity.BLOCKING for one in self.findings)


def base_name(name: str) -> str:
    """The name that is proved: without its wildcard label (RFC 8555, 7.1.3)."""
    return name.removeprefix("*.")

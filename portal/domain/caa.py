"""Whether a domain's CAA records let a CA account issue, and by which method.

Source: RFC 8659, 4.1 to 4.5 (climbing the tree, 3, is the look-up's), RFC 8657 (accounturi, validationmethods).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portal.domain.validation import Finding, Severity, base_name

CRITICAL = 128

#: Tags that CAs understand: RFC 8659, 4.2 to 4.4; the CA/B Forum's contacts; RFC 9495.
KNOWN_TAGS = frozenset({"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail"})

_SPACE = " \t"
_LABEL = r"[A-Za-z0-9](?:-*[A-Za-z0-9])*"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_TAG = re.compile(_LABEL)
_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e]*")


@dataclass(frozen=True)
class CaaRecord:
    flags: int
    tag: str
    value: str


@dataclass(frozen=True)
class CaaSet:
    """The relevant record set (RFC 8659, 3): `at` is the name that holds it, None where no name up the tree has any."""

    at: str | None = None
    records: tuple[CaaRecord, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A certificate for `name` (with its wildcard label) from the CA known by `identities`, proved by `method`.

    `identities` is empty where nobody knows them, `account_url` None where the account is not registered yet.
    """

    name: str
    identities: tuple[str, ...]
    account_url: str | None
    method: str

    @property
    def is_wildcard(self) -> bool:
        return self.name.startswith("*.")


@dataclass(frozen=True)
class Grant:
    """What one issue or issuewild value says; an empty `issuer` is nobody."""

    issuer: str
    parameters: tuple[tuple[str, str], ...] = ()

    def values(self, tag: str) -> list[str]:
        return [value for name, value in self.parameters if name == tag]


NOBODY = Grant("")


def read_grant(text: str) -> Grant:
    """An issue value (RFC 8659, 4.2); what breaks its grammar names nobody, as the RFC demands."""
    issuer, _, rest = text.partition(";")
    issuer, rest = issuer.strip(_SPACE), rest.strip(_SPACE)
    if issuer and not _DOMAIN.fullmatch(issuer):
        return NOBODY
    parameters = [_parameter(part) for part in rest.split(";")] if rest else []
    read = tuple(one for one in parameters if one is not None)
    return Grant(issuer.lower(), read) if len(read) == len(parameters) else NOBODY


def _parameter(text: str) -> tuple[str, str] | None:
    tag, equals, value = (part.strip(_SPACE) for part in text.partition("="))
    if not equals or not _TAG.fullmatch(tag) or not _VALUE.fullmatch(value):
        return None
    return tag.lower(), value


def evaluate(found: CaaSet, wanted: Wanted) -> Finding:
    """What the relevant record set says of a wanted certificate; params: name, at, record (what to set), allowed."""
    if unknown := _critical_unknown(found.records):
        return _finding("caa_critical_unknown", Severity.BLOCKING, found, wanted, tag=unknown)
    tag = _relevant_tag(found.records, wanted)
    grants = [read_grant(one.value) for one in found.records if one.tag.lower() == tag]
    if not grants:
        return Finding("caa_unrestricted", Severity.OK, {"name": wanted.name})
    allowed = ", ".join(dict.fromkeys(grant.issuer for grant in grants if grant.issuer)) or "—"
    if not wanted.identities:
        return _without_identities(found, wanted, allowed)
    known = {identity.lower().rstrip(".") for identity in wanted.identities}
    ours = [grant for grant in grants if grant.issuer and grant.issuer in known]
    code, severity = _verdict(ours, wanted)
    record = _record(found, wanted, tag, ours)
    return _finding(code, severity, found, wanted, allowed=allowed, record=record)


def _without_identities(found: CaaSet, wanted: Wanted, allowed: str) -> Finding:
    """Only that nobody at all may issue is certain."""
    if allowed == "—":
        return _finding("caa_closed", Severity.BLOCKING, found, wanted)
    return _finding("caa_identities_unknown", Severity.WARNING, found, wanted, allowed=allowed)


def _critical_unknown(records: Sequence[CaaRecord]) -> str | None:
    """The first tag that forbids issuance to whoever does not know it (RFC 8659, 4.1 and 4.5)."""
    return next(
        (one.tag for one in records if one.flags & CRITICAL and one.tag.lower() not in KNOWN_TAGS), None
    )


def _relevant_tag(records: Sequence[CaaRecord], wanted: Wanted) -> str:
    """issuewild rules wildcard names alone, and where there is one, issue does not (RFC 8659, 4.3)."""
    has_wild = any(one.tag.lower() == "issuewild" for one in records)
    return "issuewild" if wanted.is_wildcard and has_wild else "issue"


def _verdict(ours: Sequence[Grant], wanted: Wanted) -> tuple[str, Severity]:
    """One grant that is satisfied is enough; else the reason that is nearest to being satisfied."""
    if not ours:
        return "caa_forbids", Severity.BLOCKING
    reasons = [_against(grant, wanted) for grant in ours]
    if None in reasons:
        return "caa_allows", Severity.OK
    if "caa_account_unknown" in reasons:
        return "caa_account_unknown", Severity.WARNING
    code = "caa_other_method" if "caa_other_method" in reasons else "caa_other_account"
    return code, Severity.BLOCKING


def _against(grant: Grant, wanted: Wanted) -> str | None:
    """Why a grant to our CA does not hold for our account and method (RFC 8657, 3 and 4); None if it does.

    A parameter that is given twice is never satisfied. Account URLs are compared as they are (RFC 3986, 6.2.1).
    """
    accounts, methods = grant.values("accounturi"), grant.values("validationmethods")
    is_pinned = bool(accounts) and wanted.account_url is not None
    if len(accounts) > 1 or (is_pinned and accounts != [wanted.account_url]):
        return "caa_other_account"
    if methods and (len(methods) > 1 or wanted.method not in methods[0].split(",")):
        return "caa_other_method"
    return "caa_account_unknown" if accounts and wanted.account_url is None else None


def _record(found: CaaSet, wanted: Wanted, tag: str, ours: Sequence[Grant]) -> str:
    """The record that would let us issue, with those parameters that the domain's owner uses for our CA."""
    parts = [wanted.identities[0]]
    if wanted.account_url and any(grant.values("accounturi") for grant in ours):
        parts.append(f"accounturi={wanted.account_url}")
    if any(grant.values("validationmethods") for grant in ours):
        parts.append(f"validationmethods={wanted.method}")
    return f'{found.at} CAA 0 {tag} "{"; ".join(parts)}"'


def _finding(code: str, severity: Severity, found: CaaSet, wanted: Wanted, **params: str) -> Finding:
    at = found.at or base_name(wanted.name)
    return Finding(code, severity, {"name": wanted.name, "at": at, "method": wanted.method, **params})

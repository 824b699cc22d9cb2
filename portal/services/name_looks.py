"""Looking at names as a CA would, without a database: the chain of looks for each way of proving a name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from portal.adapters.ca.base import ChallengeKind
from portal.adapters.dns import dnssec
from portal.adapters.dns.base import DnsProvider
from portal.adapters.dns.caa_lookup import find_caa
from portal.adapters.dns.delegation import follow_delegation
from portal.adapters.dns.dnssec import Dnssec
from portal.adapters.dns.http_reach import PATH, Ports, check_reach
from portal.adapters.errors import AdapterError
from portal.domain.caa import Wanted, evaluate
from portal.domain.validation import Finding, NameReport, Severity, ValidationMethod, base_name

#: Seconds for one question, and names looked at side by side.
QUESTION = 5.0
SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Standpoint:
    """From where it is looked, and for whom: one for all names of a rehearsal. `deadline` is time.monotonic()'s.

    `signed` is a name known to be signed, by which a resolver shows whether it validates.
    """

    deadline: float
    resolver: str | None = None
    signed: str = "."
    identities: tuple[str, ...] = ()
    account_url: str | None = None
    base_url: str = ""
    allowed_networks: tuple[str, ...] = ()
    ports: Ports = field(default_factory=Ports)

    def seconds(self) -> float:
        """How long the next question may take. Raises AdapterError(dns_unavailable) where no time is left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise AdapterError(
                "dns_unavailable", permanent=False, server=self.resolver or "", detail="timeout"
            )
        return min(left, QUESTION)


@dataclass(frozen=True)
class Sight:
    """One name to look at, wildcard label included. `target` is where its delegation shall lead; `provider` writes its
    records with other credentials, or is why nobody can; `probe` is a token and its answer over HTTP.
    """

    name: str
    method: ValidationMethod
    kind: ChallengeKind
    target: str | None = None
    provider: DnsProvider | AdapterError | None = None
    probe: tuple[str, str] | None = None

    @property
    def base(self) -> str:
        return base_name(self.name)

    @property
    def challenge_name(self) -> str:
        return f"_acme-challenge.{self.base}"


Look = Callable[[Sight, Standpoint], Finding]


def look_at_all(sights: Sequence[Sight], standpoint: Standpoint) -> tuple[NameReport, ...]:
    """A report for each name, in their order."""
    if not sights:
        return ()
    with ThreadPoolExecutor(max_workers=min(SIDE_BY_SIDE, len(sights))) as pool:
        return tuple(pool.map(lambda sight: look_at(sight, standpoint), sights))


def look_at(sight: Sight, standpoint: Standpoint) -> NameReport:
    """Every look of the name's method, until one could not be made: what comes after it would fare no better."""
    return NameReport(sight.name, sight.method, tuple(_findings(sight, standpoint)))


def _findings(sight: Sight, standpoint: Standpoint) -> Iterator[Finding]:
    for look in LOOKS[sight.method] if sight.kind is ChallengeKind.DNS_01 else OVER_HTTP:
        try:
            found = look(sight, standpoint)
        except AdapterError as error:
            yield _of_error(error, sight)
            return
        yield found
        if found.code == "dnssec_bogus":
            return


def _of_error(error: AdapterError, sight: Sight) -> Finding:
    """What could not be looked at is no fault of the name's; what was refused for good is."""
    severity = Severity.BLOCKING if error.permanent else Severity.WARNING
    return Finding(error.code, severity, {**error.params, "name": sight.name})


def wildcard(sight: Sight, _standpoint: Standpoint) -> Finding:
    """A wildcard name is proved by DNS and by nothing else (RFC 8555, 8.4 and 7.1.3)."""
    if sight.name.startswith("*.") and sight.kind is not ChallengeKind.DNS_01:
        return Finding("wildcard_needs_dns", Severity.BLOCKING, {"name": sight.name})
    return Finding("method_fits", Severity.OK, {"name": sight.name})


def signatures(sight: Sight, standpoint: Standpoint) -> Finding:
    """DNSSEC of the name's own zone, CNAMEs not followed: they have looks of their own."""
    is_http = sight.kind is ChallengeKind.HTTP_01
    return _signed(
        sight, standpoint, (sight.base, "CAA"), *(() if is_http else ((sight.challenge_name, "CNAME"),))
    )


def end_signatures(sight: Sight, standpoint: Standpoint) -> Finding:
    """DNSSEC all along the way to what a CA reads."""
    is_http = sight.kind is ChallengeKind.HTTP_01
    return _signed(sight, standpoint, (sight.base, "A") if is_http else (sight.challenge_name, "TXT"))


def _signed(sight: Sight, standpoint: Standpoint, *asked: tuple[str, str]) -> Finding:
    seen = Dnssec.UNKNOWN
    for name, kind in asked:
        seen = dnssec.look(name, kind, standpoint.resolver, standpoint.seconds(), standpoint.signed)
        if seen is Dnssec.BOGUS:
            return Finding("dnssec_bogus", Severity.BLOCKING, {"name": sight.name, "at": name, "type": kind})
    return Finding(f"dnssec_{seen.value}", Severity.OK, {"name": sight.name})


def authorization(sight: Sight, standpoint: Standpoint) -> Finding:
    """CAA for our account at the CA and this method."""
    wanted = Wanted(sight.name, standpoint.identities, standpoint.account_url, sight.kind.value)
    return evaluate(find_caa(sight.base, standpoint.resolver, standpoint.seconds()), wanted)


def delegation(sight: Sight, standpoint: Standpoint) -> Finding:
    """The CNAME that the customer set up once."""
    if sight.target is None:
        return Finding("delegation_zone_unready", Severity.BLOCKING, {"name": sight.name})
    record = f"{sight.challenge_name} CNAME {sight.target}"
    params: dict[str, str | int] = {"name": sight.name, "target": sight.target, "record": record}
    try:
        end = follow_delegation(sight.challenge_name, standpoint.resolver, standpoint.seconds())
    except AdapterError as error:
        if error.code != "dns_delegation_broken":
            raise
        return Finding("delegation_loops", Severity.BLOCKING, params)
    if end == sight.target.lower():
        return Finding("delegation_right", Severity.OK, params)
    if end == sight.challenge_name.lower():
        return Finding("delegation_missing", Severity.BLOCKING, params)
    return Finding("delegation_elsewhere", Severity.BLOCKING, {**params, "found": end})


def credentials(sight: Sight, _standpoint: Standpoint) -> Finding:
    """A call to the DNS provider that changes nothing. Raises AdapterError as the provider does.

    Where the access is the operator's own, what is refused is no customer's to mend.
    """
    if sight.provider is None:
        return Finding("dns_not_configured", Severity.BLOCKING, {"name": sight.name})
    try:
        if isinstance(sight.provider, AdapterError):
            raise sight.provider
        sight.provider.check()
    except AdapterError as error:
        if sight.method is not ValidationMethod.OPERATOR or not error.permanent:
            raise
        params: dict[str, str | int] = {"name": sight.name, "detail": error.code}
        code = "dns_not_configured" if error.code == "dns_not_configured" else "operators_dns_refused"
        return Finding(code, Severity.BLOCKING, params)
    return Finding("credentials_work", Severity.OK, {"name": sight.name})


def aliases(sight: Sight, standpoint: Standpoint) -> Finding:
    """CNAMEs of the validation record, wherever they lead: the record is written at their end."""
    end = follow_delegation(sight.challenge_name, standpoint.resolver, standpoint.seconds())
    return Finding("record_place_found", Severity.OK, {"name": sight.name, "found": end})


def answer(sight: Sight, standpoint: Standpoint) -> Finding:
    """Our answer, read at the name. A server that is away is asked once more before it is called so."""
    assert sight.probe is not None
    token, expected = sight.probe
    params: dict[str, str | int] = {"name": sight.name, "path": PATH, "to": standpoint.base_url + PATH}
    error = _reach(sight.base, token, expected, standpoint)
    if error is not None and error.code == "http_unreachable":
        error = _reach(sight.base, token, expected, standpoint)
    if error is None:
        return Finding("http_answers", Severity.OK, params)
    return Finding(error.code, Severity.BLOCKING, {**error.params, **params})


def _reach(name: str, token: str, expected: str, standpoint: Standpoint) -> AdapterError | None:
    try:
        check_reach(
            name,
            token,
            expected,
            timeout=standpoint.seconds(),
            allowed_networks=standpoint.allowed_networks,
            ports=standpoint.ports,
        )
    except AdapterError as error:
        if not error.permanent:
            raise
        return error
    return None


#: In this order; the first finding that blocks is the one to act on. The zone's signatures first: where those are
#: broken, no other answer comes from DNS.
LOOKS: Mapping[ValidationMethod, tuple[Look, ...]] = {
    ValidationMethod.DELEGATION: (signatures, delegation, authorization, end_signatures),
    ValidationMethod.CREDENTIALS: (signatures, aliases, credentials, authorization, end_signatures),
    ValidationMethod.OPERATOR: (signatures, aliases, credentials, authorization, end_signatures),
}
OVER_HTTP: tuple[Look, ...] = (wildcard, signatures, end_signatures, answer, authorization)

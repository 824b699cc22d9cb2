"""Whether DNSSEC lets a name be resolved: a broken chain of signatures stops every CA, an unsigned zone stops none.

Told apart by asking a validating resolver twice (RFC 4035, 3.2.2 and 3.2.3): it answers SERVFAIL for bogus data, and
gives the same data once checking is disabled (CD).
"""

from __future__ import annotations

from enum import StrEnum

import dns.exception
import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver

from portal.adapters.dns.errors import unavailable
from portal.adapters.dns.lookup import parse_name, resolver
from portal.adapters.errors import AdapterError

#: What the DNS flag day of 2020 settled on: no answer is fragmented.
_PAYLOAD = 1232

#: What a server says that knows nothing of EDNS, and so nothing of DNSSEC (RFC 6891, 7).
_IGNORANT = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP})


class Dnssec(StrEnum):
    """SECURE: signed, and the signatures hold. INSECURE: not signed. UNKNOWN: this resolver does not validate."""

    SECURE = "secure"
    INSECURE = "insecure"
    BOGUS = "bogus"
    UNKNOWN = "unknown"


def look(
    name: str, kind: str = "A", nameserver: str | None = None, timeout: float = 5.0, signed: str = "."
) -> Dnssec:
    """How the records of this kind at `name`, or the proof that there are none, fare with DNSSEC.

    `signed` is a name known to be signed (by default the root of the DNS): where even that is not authenticated, the
    resolver does not validate. Raises AdapterError(dns_unavailable) where it fails with checking disabled as well.
    """
    asked = _validating(nameserver, timeout)
    wanted, sort = parse_name(name), dns.rdatatype.from_text(kind)
    seen = _ask(asked, wanted, sort)
    if seen is None:
        if _ask(_unchecked(nameserver, timeout), wanted, sort) is None:
            raise unavailable(", ".join(map(str, asked.nameservers)), "SERVFAIL")
        # Once more: a server that failed for a moment is not a broken zone.
        seen = _ask(asked, wanted, sort)
    if seen is None:
        return Dnssec.BOGUS
    if seen & dns.flags.AD:
        return Dnssec.SECURE
    return Dnssec.INSECURE if _validates(asked, signed) else Dnssec.UNKNOWN


def _validates(asked: dns.resolver.Resolver, signed: str) -> bool:
    """Whatever goes wrong with this question says nothing of the name that was asked for."""
    name = dns.name.root if signed == "." else parse_name(signed)
    try:
        seen = _ask(asked, name, dns.rdatatype.SOA)
    except AdapterError:
        return False
    return seen is not None and bool(seen & dns.flags.AD)


def _validating(nameserver: str | None, timeout: float) -> dns.resolver.Resolver:
    asked = resolver(nameserver, timeout)
    asked.flags = dns.flags.RD | dns.flags.AD
    asked.use_edns(0, dns.flags.DO, _PAYLOAD)
    return asked


def _unchecked(nameserver: str | None, timeout: float) -> dns.resolver.Resolver:
    asked = _validating(nameserver, timeout)
    asked.flags = dns.flags.RD | dns.flags.CD
    return asked


def _ask(asked: dns.resolver.Resolver, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> int | None:
    """The flags of the answer, be it that there is no such name; None for SERVFAIL. Raises AdapterError.

    None are set where a server does not understand the question, which is put with EDNS.
    """
    try:
        return int(asked.resolve(name, kind, search=False, raise_on_no_answer=False).response.flags)
    except dns.resolver.NXDOMAIN as error:
        return int(error.response(name).flags)  # type: ignore[no-untyped-call]
    except dns.resolver.NoNameservers as error:
        said = _rcodes(error)
        if dns.rcode.SERVFAIL in said:
            return None
        if said and said <= _IGNORANT:
            return 0
        raise unavailable(", ".join(map(str, asked.nameservers)), "NoNameservers") from None
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise unavailable(", ".join(map(str, asked.nameservers)), type(error).__name__) from None


def _rcodes(error: dns.resolver.NoNameservers) -> frozenset[dns.rcode.Rcode]:
    responses = (row[-1] for row in error.kwargs.get("errors", ()))
    return frozenset(one.rcode() for one in responses if one is not None)

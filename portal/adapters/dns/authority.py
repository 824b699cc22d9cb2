"""Asking the name servers of a zone themselves, as a CA does: what they say holds, whatever caches still remember.

Their addresses come out of DNS, where anybody can write any address: those that are not permitted are not asked (see
portal.adapters.outbound).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.resolver

from portal.adapters import outbound
from portal.adapters.dns.errors import unavailable
from portal.adapters.dns.lookup import DNS_PORT, ask, parse_name, resolver
from portal.adapters.errors import AdapterError

#: Zones have two to eight; what lies beyond is not asked.
MOST_SERVERS = 8
#: Seconds for one server: several are asked one after the other.
SERVER_TIMEOUT = 3.0


@dataclass(frozen=True)
class Vantage:
    """From where DNS is looked at: a resolver (address:port; None is the system's), and what may be asked directly.

    `port` is where authoritative servers answer; `allowed_networks` are permitted beside the global ones.
    """

    resolver: str | None = None
    timeout: float = 5.0
    port: int = DNS_PORT
    allowed_networks: tuple[str, ...] = ()


def is_published(fqdn: str, value: str, vantage: Vantage) -> bool:
    """Whether every name server of the zone that answers has `value` among the TXT records of `fqdn`.

    Where no zone is found, or none of its servers may be asked from here, the resolver's word is taken. Raises
    AdapterError(dns_unavailable) where nobody answers.
    """
    asked, name = resolver(vantage.resolver, vantage.timeout), parse_name(fqdn).canonicalize()
    servers = list(_servers(asked, name, vantage))[:MOST_SERVERS]
    if not servers:
        answer = ask(asked, name, dns.rdatatype.TXT)
        return value in {_text(record) for record in answer or ()}
    said = [values for server in servers if (values := _ask_server(server, name, vantage)) is not None]
    if not said:
        raise unavailable(", ".join(servers), "no name server answers")
    return all(value in values for values in said)


def _servers(asked: dns.resolver.Resolver, name: dns.name.Name, vantage: Vantage) -> Iterator[str]:
    """The permitted addresses of the name servers of the zone that `name` lies in."""
    names = _name_servers(asked, name)
    for one in names:
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            for record in ask(asked, one, kind) or ():
                if outbound.is_permitted(record.address, vantage.allowed_networks):
                    yield record.address


def _name_servers(asked: dns.resolver.Resolver, name: dns.name.Name) -> tuple[dns.name.Name, ...]:
    """Up the tree to the first name that has NS records. The root and a top-level domain are nobody's zone to ask.

    A resolver that answers no such question may answer for the record itself: then there is no zone to be found.
    """
    at = name
    try:
        while len(at) > 2:
            if answer := ask(asked, at, dns.rdatatype.NS):
                return tuple(record.target for record in answer)
            at = at.parent()
    except AdapterError:
        return ()
    return ()


def _ask_server(server: str, name: dns.name.Name, vantage: Vantage) -> set[str] | None:
    """The TXT values that one server has; None where it says nothing usable."""
    query = dns.message.make_query(name, dns.rdatatype.TXT)
    query.flags &= ~dns.flags.RD
    timeout = min(SERVER_TIMEOUT, vantage.timeout)
    try:
        answer, _ = dns.query.udp_with_fallback(query, server, timeout=timeout, port=vantage.port)
    except (dns.exception.DNSException, OSError, EOFError):
        return None
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return None
    return {
        _text(record)
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.TXT and rrset.name.canonicalize() == name
        for record in rrset
    }


def _text(record: object) -> str:
    """A TXT record's strings as one (RFC 7208, 3.3, and what CAs do)."""
    strings: tuple[bytes, ...] = getattr(record, "strings", ())
    return b"".join(strings).decode("ascii", "replace")

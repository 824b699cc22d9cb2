"""Finding the CAA records that rule a name: its own, or those of the nearest name up the tree.

Source: RFC 8659, 3. CNAMEs are followed as for any record; the tree is climbed from the name itself and never from
where its CNAMEs lead.
"""

from __future__ import annotations

from typing import Any

import dns.name
import dns.rdatatype
import dns.resolver

from portal.adapters.dns.delegation import MOST_HOPS
from portal.adapters.dns.lookup import ask_whole, parse_name, resolver
from portal.domain.caa import CaaRecord, CaaSet
from portal.domain.validation import base_name


def find_caa(name: str, nameserver: str | None = None, timeout: float = 5.0) -> CaaSet:
    """The relevant record set of `name` (its wildcard label does not count); empty where there is none.

    `nameserver` (address:port) is asked, or else the system's resolver. Raises AdapterError(dns_unavailable).
    """
    asked = resolver(nameserver, timeout)
    at = parse_name(base_name(name)).canonicalize()
    while at != dns.name.root:
        records = _records(asked, at)
        if records:
            return CaaSet(at.to_text(omit_final_dot=True), records)
        at = at.parent()
    return CaaSet()


def _records(asked: dns.resolver.Resolver, at: dns.name.Name) -> tuple[CaaRecord, ...]:
    """The records at a name or where its CNAMEs lead; a server that does not follow them itself is asked hop by hop."""
    name = at
    for _ in range(MOST_HOPS + 1):
        answer = ask_whole(asked, name, dns.rdatatype.CAA)
        if answer is None:
            break
        if answer.rrset is not None:
            return tuple(_record(one) for one in answer.rrset)
        if answer.canonical_name == name:
            break
        name = answer.canonical_name
    return ()


def _record(data: Any) -> CaaRecord:
    return CaaRecord(int(data.flags), _text(data.tag), _text(data.value))


def _text(octets: bytes) -> str:
    """Octets beyond ASCII become a character that no rule allows."""
    return octets.decode("ascii", "replace")

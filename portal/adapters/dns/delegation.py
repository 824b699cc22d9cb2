"""Where a validation record really has to be written: at the end of the CNAMEs that a customer set up once.

Source: RFC 8555, 8.4 (a CA follows CNAMEs at _acme-challenge).
"""

from __future__ import annotations

import dns.rdatatype

from portal.adapters.dns.lookup import ask, parse_name, resolver
from portal.adapters.errors import AdapterError

#: CAs follow some ten; nobody needs more than two or three.
MOST_HOPS = 8


def follow_delegation(fqdn: str, nameserver: str | None = None, timeout: float = 5.0) -> str:
    """The name (lower case, no trailing dot) at the end of the CNAMEs of `fqdn`; `fqdn` itself where it has none.

    `nameserver` is asked (address:port), or else the system's resolver, for `timeout` seconds a hop at most.
    Raises AdapterError: dns_unavailable, dns_delegation_broken (permanent).
    """
    asked = resolver(nameserver, timeout)
    name = parse_name(fqdn).canonicalize()
    seen = {name}
    for _ in range(MOST_HOPS + 1):
        answer = ask(asked, name, dns.rdatatype.CNAME)
        if answer is None:
            return name.to_text(omit_final_dot=True)
        name = answer[0].target.canonicalize()
        if name in seen:
            break
        seen.add(name)
    raise AdapterError(
        "dns_delegation_broken", permanent=True, name=fqdn, target=name.to_text(omit_final_dot=True)
    )

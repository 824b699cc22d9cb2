"""Asking a DNS server: which one, how long, and what its silence means."""

from __future__ import annotations

import dns.exception
import dns.inet
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from portal.adapters.dns.errors import unavailable, wrong_setting

DNS_PORT = 53


def split_address(text: str, setting: str = "server") -> tuple[str, int]:
    """ "host", "host:port" or "[v6]:port". Raises AdapterError(dns_settings)."""
    host, port = text.strip(), DNS_PORT
    if host.startswith("["):
        host, _, rest = host[1:].rpartition("]")
        digits = rest.removeprefix(":")
    elif host.count(":") == 1:
        host, _, digits = host.partition(":")
    else:
        digits = ""
    if digits:
        port = int(digits) if digits.isdigit() else 0
    if not host or not 0 < port < 65536:
        raise wrong_setting(setting)
    return host, port


def parse_name(fqdn: str) -> dns.name.Name:
    """An absolute name. Raises AdapterError(dns_settings) for what is none."""
    try:
        return dns.name.from_text(fqdn.rstrip(".") + ".")
    except (dns.exception.DNSException, UnicodeError):
        raise wrong_setting("name") from None


def resolver(nameserver: str | None, timeout: float) -> dns.resolver.Resolver:
    """A resolver that asks `nameserver` (an IP address, with port if need be), or else the system's servers."""
    try:
        made = dns.resolver.Resolver(configure=nameserver is None)
    except dns.resolver.NoResolverConfiguration:
        raise wrong_setting("resolver") from None
    if nameserver is not None:
        host, port = split_address(nameserver, "resolver")
        if not dns.inet.is_address(host):
            raise wrong_setting("resolver")
        made.nameservers = [dns.nameserver.Do53Nameserver(host, port)]
    made.lifetime = timeout
    return made


def ask(
    asked: dns.resolver.Resolver, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> dns.resolver.Answer | None:
    """The answer; None where there is no such name or no such record. Raises AdapterError(dns_unavailable)."""
    answer = ask_whole(asked, name, kind)
    return answer if answer is not None and answer.rrset is not None else None


def ask_whole(
    asked: dns.resolver.Resolver, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> dns.resolver.Answer | None:
    """The answer, also where it holds no such record (its `rrset` is None then, its CNAMEs are there all the same).

    None where there is no such name. Raises AdapterError(dns_unavailable).
    """
    try:
        return asked.resolve(name, kind, search=False, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return None
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise unavailable(", ".join(map(str, asked.nameservers)), type(error).__name__) from None

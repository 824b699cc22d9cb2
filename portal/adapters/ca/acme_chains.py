"""Choosing among the chains that a CA offers for one certificate. Source: RFC 8555, 7.4.2 (Link, rel="alternate")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from cryptography import x509
from cryptography.x509.oid import NameOID

from portal.adapters.ca.acme_errors import unavailable
from portal.adapters.ca.acme_http import Reply
from portal.adapters.errors import AdapterError

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)')
_ALTERNATE = re.compile(r';\s*rel\s*=\s*"?(?:[^"]*\s)?alternate(?:\s[^"]*)?"?\s*(?:;|$)', re.IGNORECASE)
_MOST_CHAINS = 8


def alternates(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Where the other chains are."""
    links = _LINK.findall(headers.get("Link", ""))
    return tuple(url for url, rest in links if _ALTERNATE.search(rest))[:_MOST_CHAINS]


def read_chain(reply: Reply) -> str:
    """The PEM chain in an answer. Raises AdapterError(ca_unavailable)."""
    try:
        chain = reply.body.decode("ascii")
    except UnicodeDecodeError:
        chain = ""
    if "-----BEGIN CERTIFICATE-----" not in chain:
        raise unavailable("the answer is no PEM chain")
    return chain


def choose(first: Reply, wanted: str | None, ask: Callable[[str], Reply]) -> str:
    """The chain that ends under the issuer whose common name is wanted; the CA's own choice where none does.

    An alternate that cannot be fetched is passed over: the first chain is good too.
    """
    chain = read_chain(first)
    if not wanted or _ends_under(chain, wanted):
        return chain
    others = _fetched(alternates(first.headers), ask)
    return next((other for other in others if _ends_under(other, wanted)), chain)


def _fetched(urls: tuple[str, ...], ask: Callable[[str], Reply]) -> Iterator[str]:
    for url in urls:
        try:
            yield read_chain(ask(url))
        except AdapterError:
            continue


def _ends_under(chain: str, wanted: str) -> bool:
    """Whether the last certificate of a chain was issued by one of that common name."""
    try:
        issuer = x509.load_pem_x509_certificates(chain.encode())[-1].issuer
    except ValueError:
        return False
    return wanted in {str(one.value) for one in issuer.get_attributes_for_oid(NameOID.COMMON_NAME)}

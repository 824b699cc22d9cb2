"""Which DNS providers there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portal.adapters.dns.base import DnsProvider
from portal.adapters.fields import Field
from portal.adapters.loading import load


@dataclass(frozen=True)
class Kind:
    target: str
    label: str
    fields: tuple[Field, ...] = ()


KINDS: Mapping[str, Kind] = {
    "rfc2136": Kind(
        "portal.adapters.dns.rfc2136:Rfc2136Dns",
        "RFC 2136 dynamic update",
        (
            Field("server", "Server (host:port)"),
            Field("zone", "Zone"),
            Field("key_name", "TSIG key name", is_required=False),
            Field("key_secret", "TSIG key (base64)", is_secret=True, is_required=False),
            Field("key_algorithm", "TSIG algorithm", is_required=False, default="hmac-sha256"),
        ),
    ),
    "sandbox": Kind(
        "portal.adapters.dns.sandbox:SandboxDns",
        "Sandbox (a challenge test server)",
        (Field("url", "Management address"), Field("server", "DNS server (host:port)")),
    ),
}


def connect(kind: str, config: Mapping[str, str], secrets: Mapping[str, str], timeout: float) -> DnsProvider:
    """The provider behind a configuration. Raises KeyError for an unknown kind."""
    implementation: DnsProvider = load(KINDS[kind].target)(config, secrets, timeout)
    return implementation

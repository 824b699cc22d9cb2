"""Which DNS providers there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dns.inet

from portal.adapters import outbound
from portal.adapters.dns import errors
from portal.adapters.dns.base import DnsProvider
from portal.adapters.dns.lookup import split_address
from portal.adapters.errors import AdapterError
from portal.adapters.fields import Field
from portal.adapters.loading import load


@dataclass(frozen=True)
class Kind:
    """`endpoint` names the product whose address an installation may set (never who uses it); `addresses` are the
    fields that hold an address to connect to, which is looked at where a customer gave it.
    """

    target: str
    label: str
    fields: tuple[Field, ...] = ()
    is_for_customers: bool = True
    endpoint: str = ""
    addresses: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "aliyun": Kind(
        "portal.adapters.dns.aliyun:AliyunDns",
        "AliDNS (Alibaba Cloud)",
        (
            Field("access_key_id", "AccessKey ID"),
            Field("access_key_secret", "AccessKey secret", is_secret=True),
        ),
        endpoint="alidns",
    ),
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
        addresses=("server",),
    ),
    "sandbox": Kind(
        "portal.adapters.dns.sandbox:SandboxDns",
        "Sandbox (a challenge test server)",
        (Field("url", "Management address"), Field("server", "DNS server (host:port)")),
        is_for_customers=False,
    ),
}


def connect(
    kind: str,
    config: Mapping[str, str],
    secrets: Mapping[str, str],
    timeout: float,
    endpoints: Mapping[str, str] | None = None,
) -> DnsProvider:
    """The provider behind a configuration; `endpoints` are the installation's. Raises KeyError for an unknown kind."""
    endpoint = (endpoints or {}).get(KINDS[kind].endpoint, "")
    given = {**config, "endpoint": endpoint} if endpoint else dict(config)
    implementation: DnsProvider = load(KINDS[kind].target)(given, secrets, timeout)
    return implementation


def check_addresses(kind: str, config: Mapping[str, str], allowed_networks: Sequence[str]) -> None:
    """Look at every address in a customer's configuration, when it is stored and whenever it is used.

    Raises AdapterError (permanent): dns_address_forbidden, dns_settings.
    """
    for field in KINDS[kind].addresses:
        host, _ = split_address(config.get(field, ""), field)
        if not dns.inet.is_address(host):
            raise errors.wrong_setting(field)
        if not outbound.is_permitted(host, allowed_networks):
            raise AdapterError(errors.ADDRESS_FORBIDDEN, permanent=True, address=host)

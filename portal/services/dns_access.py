"""DNS with the settings of this installation: providers to write through, and from where names are looked at."""

from __future__ import annotations

from collections.abc import Mapping

from portal.adapters.dns import registry
from portal.adapters.dns.authority import Vantage
from portal.adapters.dns.base import DnsProvider
from portal.services.operations import settings


def open_provider(kind: str, config: Mapping[str, str], secrets: Mapping[str, str]) -> DnsProvider:
    """The provider behind a configuration of the operator's. Raises KeyError, AdapterError("dns_settings")."""
    here = settings()
    return registry.connect(kind, config, secrets, here.step_timeout, here.aliyun_endpoints)


def open_customers_provider(kind: str, config: Mapping[str, str], secrets: Mapping[str, str]) -> DnsProvider:
    """The same for what a customer configured: its addresses are looked at first.

    Raises AdapterError (permanent): dns_address_forbidden, dns_settings.
    """
    registry.check_addresses(kind, config, settings().allowed_networks)
    return open_provider(kind, config, secrets)


def vantage(resolver: str | None) -> Vantage:
    """Looking at DNS through a resolver (address:port; None is the system's)."""
    here = settings()
    timeout = min(here.step_timeout, 5.0)
    return Vantage(resolver or None, timeout, here.name_server_port, here.allowed_networks)

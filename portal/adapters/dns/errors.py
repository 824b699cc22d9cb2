"""The ways in which DNS fails, one code for each thing that a person would do about it.

Temporary: dns_unavailable, dns_throttled. Permanent: dns_refused (the server will not have our update),
dns_credentials (it does not know our key), dns_permission, dns_zone_missing (the account has no zone for the name),
dns_outside_zone, dns_address_forbidden (a server that must not be asked from here), dns_delegation_broken (a CNAME that
leads in a circle, on and on, or elsewhere), dns_settings.
"""

from __future__ import annotations

from portal.adapters.errors import AdapterError

UNAVAILABLE = "dns_unavailable"
THROTTLED = "dns_throttled"
REFUSED = "dns_refused"
CREDENTIALS = "dns_credentials"
PERMISSION = "dns_permission"
ZONE_MISSING = "dns_zone_missing"
ADDRESS_FORBIDDEN = "dns_address_forbidden"


def unavailable(server: str, detail: str) -> AdapterError:
    """No answer, or one that says "later"."""
    return AdapterError(UNAVAILABLE, permanent=False, server=server, detail=detail)


def refused(server: str, detail: str) -> AdapterError:
    """An answer that would be the same the next time."""
    return AdapterError(REFUSED, permanent=True, server=server, detail=detail)


def wrong_setting(name: str) -> AdapterError:
    """A setting of the provider cannot be right."""
    return AdapterError("dns_settings", permanent=True, name=name)

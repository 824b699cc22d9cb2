"""The ways in which DNS fails.

Temporary: dns_unavailable. Permanent: dns_refused (the server will not have our update), dns_outside_zone,
dns_delegation_broken (a CNAME that leads in a circle, or on and on), dns_settings.
"""

from __future__ import annotations

from portal.adapters.errors import AdapterError


def unavailable(server: str, detail: str) -> AdapterError:
    """No answer, or one that says "later"."""
    return AdapterError("dns_unavailable", permanent=False, server=server, detail=detail)


def refused(server: str, detail: str) -> AdapterError:
    """An answer that would be the same the next time."""
    return AdapterError("dns_refused", permanent=True, server=server, detail=detail)


def wrong_setting(name: str) -> AdapterError:
    """A setting of the provider cannot be right."""
    return AdapterError("dns_settings", permanent=True, name=name)

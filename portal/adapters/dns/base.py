"""What a DNS provider is asked: to have one TXT value at a name, and to have it no more."""

from __future__ import annotations

from typing import Protocol


class DnsProvider(Protocol):
    """All calls are idempotent, leave every other value at the name alone, and raise AdapterError."""

    def check(self) -> None:
        """A call that changes nothing and fails where the credentials would not do."""
        ...

    def add_txt(self, fqdn: str, value: str) -> None:
        """See to it that `fqdn` (no trailing dot) has a TXT record with `value`."""
        ...

    def remove_txt(self, fqdn: str, value: str) -> None:
        """See to it that `fqdn` has no TXT record with `value`."""
        ...

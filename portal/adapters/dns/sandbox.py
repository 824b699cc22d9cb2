"""TXT records at pebble-challtestsrv, the test server that Let's Encrypt uses.

It adds values one by one but only clears a name as a whole, so removing one means to put the others back.
"""

from __future__ import annotations

from collections.abc import Mapping

import dns.rdatatype
import requests

from portal.adapters.dns.errors import unavailable
from portal.adapters.dns.lookup import ask, parse_name, resolver


class SandboxDns:
    """`config`: url (the management address) and server (host:port, where it answers DNS queries)."""

    def __init__(self, config: Mapping[str, str], secrets: Mapping[str, str], timeout: float) -> None:  # noqa: ARG002
        self._url = config.get("url", "").rstrip("/")
        self._resolver = resolver(config.get("server", ""), timeout)
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False

    def check(self) -> None:
        self._call("clear-txt", "perennial-check.invalid")

    def add_txt(self, fqdn: str, value: str) -> None:
        if value not in self._values(fqdn):
            self._call("set-txt", fqdn, value=value)

    def remove_txt(self, fqdn: str, value: str) -> None:
        values = self._values(fqdn)
        if value not in values:
            return
        self._call("clear-txt", fqdn)
        for other in values - {value}:
            self._call("set-txt", fqdn, value=other)

    def _values(self, fqdn: str) -> set[str]:
        answer = ask(self._resolver, parse_name(fqdn), dns.rdatatype.TXT)
        return {b"".join(record.strings).decode("ascii", "replace") for record in answer or ()}

    def _call(self, command: str, fqdn: str, **fields: str) -> None:
        body = {"host": f"{fqdn}.", **fields}
        try:
            answer = self._session.post(f"{self._url}/{command}", json=body, timeout=self._timeout)
        except requests.RequestException as error:
            raise unavailable(self._url, type(error).__name__) from None
        if not answer.ok:
            raise unavailable(self._url, f"HTTP {answer.status_code}")

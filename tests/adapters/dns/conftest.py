"""DNS servers for the tests."""

from __future__ import annotations

from collections.abc import Iterator

import dns.tsig
import pytest

from tests.dns_server import DnsServer, dns_server

KEY_NAME = "perennial-key."
KEY_SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0ISE="


@pytest.fixture
def server() -> Iterator[DnsServer]:
    """A server for example.com that takes signed updates alone."""
    with dns_server("example.com", dns.tsig.Key(KEY_NAME, KEY_SECRET, "hmac-sha256")) as running:
        yield running

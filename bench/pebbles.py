"""The Pebble that everybody is measured against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.pebble import Pebble, pebble

#: Ninety days, in seconds: the term owes a next certificate.
VALIDITY = 90 * 86_400


@contextmanager
def running_pebble() -> Iterator[Pebble]:
    """A Pebble that validates everything at once. Its watchdog restarts it where it hangs."""
    with pebble(
        environment={"PEBBLE_VA_ALWAYS_VALID": "1"}, validity_seconds=VALIDITY, probe_timeout=10
    ) as server:
        yield server


def ca_config(server: Pebble) -> dict[str, Any]:
    """The settings of our account there. http-01: the portal answers by itself, nothing is written elsewhere."""
    return {
        "directory_url": server.directory_url,
        "ca_bundle": server.ca_bundle,
        "challenge": "http-01",
        "resolver": server.dns_address,
        # This Pebble believes everything, and no peer looks first either.
        "rehearsal": "no",
    }

"""Renewing against Pebble: ours, certbot, lego, and bare loops, in one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.pebble import Pebble, pebble


@contextmanager
def running_pebble() -> Iterator[Pebble]:
    """A Pebble that validates everything at once. Restarted where it hangs: what runs then is measured anew."""
    with pebble(environment={"PEBBLE_VA_ALWAYS_VALID": "1"}, probe_timeout=10) as server:
        yield server


def ca_config(server: Pebble) -> dict[str, Any]:
    """The settings of our account there. http-01: the portal answers by itself, nothing is written elsewhere."""
    return {
        "directory_url": server.directory_url,
        "ca_bundle": server.ca_bundle,
        "challenge": "http-01",
        "resolver": server.dns_address,
    }

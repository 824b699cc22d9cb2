"""The world, for every fault test that takes `world`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask

from portal import logs
from portal.settings import Settings
from tests.factories import Cast, Factory
from tests.faults.acme_line import EASY
from tests.faults.world import Clock, World
from tests.pebble import Pebble, pebble


@pytest.fixture
def overrides() -> dict[str, Any]:
    # Nobody listens at base_url: what the CA publishes there is refused at once instead of waited for.
    return {
        "lease_seconds": 1.0,
        "ring_again_seconds": 1.0,
        "secret_key": "test-secret-key",
        "base_url": "http://127.0.0.1:9",
        "step_timeout": 5.0,
    }


@pytest.fixture
def plain_logs() -> Iterator[None]:
    """JSON, as in production: drawing the tracebacks of hundreds of faults would take most of the time."""
    before = structlog.get_config()
    logs.configure(as_json=True)
    yield
    structlog.configure(**before)


@pytest.fixture
def world(
    plain_logs: None, some_app: Flask, factory: Factory, cast: Cast, settings: Settings, tmp_path: Path
) -> World:
    """An installation with people in it, and nothing paid yet. Its CA is the private one."""
    return World(some_app, factory, cast, settings, tmp_path, Clock(factory.now))


@pytest.fixture
def acme() -> Iterator[Pebble]:
    """A pebble that believes every proof, and rejects every fifth nonce."""
    with pebble(nonce_reject=20, validity_seconds=199 * 24 * 3600, environment=EASY) as one:
        yield one

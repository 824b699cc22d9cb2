"""The tests' own CA server is looked after."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.pebble import Pebble, pebble
from tests.servers import wait_until


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_pebble_that_died_or_hangs_is_restarted_at_its_address(blow: signal.Signals) -> None:
    with pebble(probe_timeout=0.3) as server:
        os.kill(_pid(server), blow)
        wait_until(lambda: server.restarts and server.answers(), 20, "the watchdog")
        assert server.restarts == 1


def test_a_restarted_pebble_issues_from_a_new_key_at_the_old_address() -> None:
    with pebble() as server:
        before = server.directory_url
        server.restart()
        assert server.answers()
        assert server.directory_url == before


def _pid(server: Pebble) -> int:
    assert server._process is not None
    assert "pebble" in Path(f"/proc/{server._process.pid}/cmdline").read_text()
    return server._process.pid

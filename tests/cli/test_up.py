"""`portal up`, as somebody at a terminal runs it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests
from redis import Redis
from redis.exceptions import RedisError

from portal.embedded import programs
from portal.settings import child_environment
from tests.embedded.test_supervisor import is_running
from tests.servers import redis_server, short_folder, stop, wait_until

PORTAL = [sys.executable, "-c", "from portal.cli import main; main()"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder("up") as one:
        yield one


def environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    return child_environment({"PORTAL_DATA_DIR": str(folder), **more})


@contextmanager
def running(folder: Path, port: int, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "up.out").open("wb") as output:
        command = [*PORTAL, "up", "--port", str(port)]
        process = subprocess.Popen(command, env=environment(folder, more), stdout=output, stderr=output)
    try:
        wait_until(
            lambda: b"Ctrl-C ends it" in (folder / "up.out").read_bytes() or process.poll() is not None, 60
        )
        yield process
    finally:
        stop(process, 40)


def children(folder: Path) -> list[int]:
    """What was started, by the log of the supervisor."""
    return [int(pid) for pid in re.findall(r'"pid": (\d+)', (folder / "up.out").read_text())]


def test_it_brings_everything_up_and_takes_it_down(folder: Path) -> None:
    port = programs.free_port("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}"
    with running(folder, port) as process:
        said = (folder / "up.out").read_text()
        assert f"answers at {url}" in said
        assert str(folder / "master.keys") in said
        assert "loses all keys" in said
        assert f"{url}/setup" in said
        assert requests.get(f"{url}/readyz", timeout=10).json()["redis"] == "ok"
        again = subprocess.run([*PORTAL, "up", "--port", str(programs.free_port("127.0.0.1", 0))],
                               env=environment(folder, {}), capture_output=True, text=True, timeout=60)  # fmt: skip
        assert again.returncode == 1
        assert f"already runs on {folder} (process {process.pid})" in again.stderr
        survive_the_death_of_redis(folder, url)
        started = children(folder)
        assert len(started) == 5
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    assert not any(is_running(pid) for pid in started)
    assert not (folder / "redis.sock").exists()


def survive_the_death_of_redis(folder: Path, url: str) -> None:
    """It comes back by itself, and so does the work."""
    first = redis_pid(folder)
    assert first
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: redis_pid(folder) not in {None, first}, 30)
    last = scanned_at(folder)
    wait_until(lambda: scanned_at(folder) > last, 30)
    assert requests.get(f"{url}/readyz", timeout=10).json() == {
        "status": "ok",
        "database": "ok",
        "redis": "ok",
    }


def redis_pid(folder: Path) -> int | None:
    """The process that answers on the socket."""
    with Redis(unix_socket_path=str(folder / "redis.sock")) as connection, suppress(RedisError):
        return int(connection.info("server")["process_id"])
    return None


def scanned_at(folder: Path) -> str:
    """When the last scan was finished, as the database has it; "" before the first."""
    with closing(sqlite3.connect(folder / "portal.db")) as database:
        row = database.execute("SELECT at FROM heartbeats WHERE name = 'scan'").fetchone()
    return str(row[0]) if row else ""


def test_a_killed_one_leaves_nothing_running(folder: Path) -> None:
    with running(folder, programs.free_port("127.0.0.1", 0)) as process:
        started = children(folder)
        process.kill()
    wait_until(lambda: not any(is_running(pid) for pid in started), 40)


def test_a_redis_that_is_named_is_used_and_must_not_evict(folder: Path) -> None:
    with redis_server(folder) as server:
        named = {"PORTAL_REDIS_URL": server.url}
        port = programs.free_port("127.0.0.1", 0)
        with running(folder, port, **named):
            assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10).json()["redis"] == "ok"
            assert not (folder / "redis").exists()
        subprocess.run(["redis-cli", "-s", str(server.socket), "config", "set", "maxmemory-policy", "allkeys-lru"],
                       check=True, capture_output=True)  # fmt: skip
        refused = subprocess.run([*PORTAL, "up", "--port", str(port)], env=environment(folder, named),
                                 capture_output=True, text=True, timeout=60)  # fmt: skip
        assert refused.returncode == 1
        assert "noeviction" in refused.stderr


def test_a_taken_port_is_one_clear_line(folder: Path, listener: object) -> None:
    port = listener.getsockname()[1]  # type: ignore[attr-defined]
    refused = subprocess.run([*PORTAL, "up", "--port", str(port)], env=environment(folder, {}),
                             capture_output=True, text=True, timeout=60)  # fmt: skip
    assert refused.returncode == 1
    assert f"port {port} is taken" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(folder.iterdir()) == []

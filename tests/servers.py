"""Real servers for tests, each on a socket or port of its own; they end with the process that started them."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psycopg
from aiosmtpd.controller import Controller
from redis import Redis
from redis.exceptions import RedisError
from werkzeug.serving import make_server

START_TIMEOUT = 20.0
_POSTGRES_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class ServerError(Exception):
    """A server that a test needs did not come up; the text says what it wrote."""


def wait_until(
    condition: Callable[[], object], timeout: float = START_TIMEOUT, what: str = "a condition"
) -> None:
    """Look every 20 ms until `condition` holds. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(0.02)


def find_program(name: str) -> str:
    """The path of a program, also where Debian hides PostgreSQL's. Raises ServerError."""
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, _POSTGRES_PLACES)))
    if path is None:
        raise ServerError(f"{name} is not installed: run tests/setup.sh")
    return path


def _unprivileged() -> pwd.struct_passwd | None:
    """The account that servers which refuse root run as; None where we are not root."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def bound(
    command: Sequence[str], signal_name: str = "KILL", account: pwd.struct_passwd | None = None
) -> list[str]:
    """The command, so started that it gets the signal when this process dies, however it dies."""
    as_account = (
        ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"] if account else []
    )
    return [find_program("setpriv"), "--pdeathsig", signal_name, *as_account, *command]


def stop(process: subprocess.Popen[Any], timeout: float = 10) -> None:
    """Ask the process to end; kill it if it does not."""
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout)


@contextmanager
def short_folder(prefix: str) -> Iterator[Path]:
    """A folder whose path is short enough for unix sockets (108 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class RedisServer:
    """A Redis of our own on a unix socket."""

    socket: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def flush(self) -> None:
        with Redis.from_url(self.url) as connection:
            connection.flushall()


@contextmanager
def redis_server(folder: Path | None = None) -> Iterator[RedisServer]:
    """Run redis-server without persistence."""
    with short_folder("redis") as own:
        path = (folder or own) / "redis.sock"
        options = [
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(path.parent),
        ]
        command = bound([find_program("redis-server"), *options, "--maxmemory-policy", "noeviction"])
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: _answers(path), what="redis-server")
            yield RedisServer(path, process)
        finally:
            stop(process)


def _answers(path: Path) -> bool:
    with Redis(unix_socket_path=str(path)) as connection, suppress(RedisError):
        return bool(connection.ping())
    return False


@dataclass(frozen=True)
class PostgresCluster:
    """A PostgreSQL cluster of our own on a unix socket; `perennial` is its superuser."""

    folder: Path

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://perennial@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(f"host={self.folder} user=perennial dbname={database}", autocommit=True)

    def create(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{database}"')


@contextmanager
def postgres_cluster() -> Iterator[PostgresCluster]:
    """Make and run a cluster that forgets safety for speed (no fsync)."""
    with short_folder("pg") as folder:
        account = _unprivileged()
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        data = folder / "data"
        make = [find_program("initdb"), "-D", str(data), "-U", "perennial", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(
            bound([*make, "--locale=C", "--no-sync", "--no-instructions"], "KILL", account),
            capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip
        if made.returncode:
            raise ServerError(f"initdb: {made.stderr}")
        process = start_postgres(folder)
        try:
            cluster = PostgresCluster(folder)
            wait_until(lambda: _accepts(cluster), what="postgres")
            yield cluster
        finally:
            process.send_signal(2)  # fast shutdown: open connections are cut
            stop(process)


def start_postgres(folder: Path) -> subprocess.Popen[bytes]:
    """Start the server of a cluster that was made in `folder`."""
    data, account = folder / "data", _unprivileged()
    speed = (
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "autovacuum=off",
        "max_connections=100",
    )
    options = [part for setting in speed for part in ("-c", setting)]
    command = [find_program("postgres"), "-D", str(data), "-k", str(folder), "-h", "", *options]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(bound(command, "INT", account), stdout=log, stderr=log, cwd=folder)


def _accepts(cluster: PostgresCluster) -> bool:
    try:
        cluster.connect().close()
    except psycopg.OperationalError:
        return False
    return True


@dataclass
class MailServer:
    """An SMTP server that keeps what it is sent. `answer` overrides its reply to DATA ("451 busy")."""

    messages: list[EmailMessage] = field(default_factory=list)
    answer: str | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer is not None:
            return self.answer
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        message["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
        self.messages.append(message)
        return "250 OK"

    def wait_for(self, count: int, timeout: float = 10) -> list[EmailMessage]:
        """The messages, once there are `count` of them."""
        wait_until(lambda: len(self.messages) >= count, timeout, f"{count} mails, have {len(self.messages)}")
        return self.messages

    def to(self, address: str) -> list[EmailMessage]:
        return [one for one in self.messages if address in str(one["X-Envelope-To"])]


class _EphemeralController(Controller):
    """aiosmtpd's controller, on a port that the kernel chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run an SMTP server in a thread."""
    handler = MailServer()
    controller = _EphemeralController(handler, hostname="127.0.0.1", port=0)
    controller.start()
    handler.port = controller.port
    try:
        yield handler
    finally:
        controller.stop()


def listening_socket() -> socket.socket:
    """A socket that listens on a free loopback port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


@contextmanager
def web_server(app: Any, listener: socket.socket) -> Iterator[str]:
    """Serve a WSGI app on a socket that listens already; yields its address."""
    host, port = listener.getsockname()
    server = make_server(host, port, app, threaded=True, fd=listener.fileno())
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

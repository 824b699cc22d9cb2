"""PostgreSQL that fails as servers do: it crashes and comes back, refuses a write, loses the answer to a COMMIT."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from portal.extensions import db
from tests import servers
from tests.servers import PostgresCluster, short_folder, wait_until

_SOCKET = ".s.PGSQL.5432"

#: A trigger that refuses every so-many-th write with an error of one's choice. Sequences are not rolled back.
_REFUSE = """
CREATE SEQUENCE IF NOT EXISTS fault_count;
CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF abs(hashint8(nextval('fault_count'))) %% {every} = 0 THEN
        RAISE EXCEPTION 'refused by a test' USING ERRCODE = '{code}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fault_{table} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION fault();
""".replace("%%", "%")


@contextmanager
def refusing(cluster: PostgresCluster, database: str, table: str, code: str, every: int) -> Iterator[None]:
    """Writes to `table` fail now and then, with that SQLSTATE, in the middle of their transaction."""
    with cluster.connect(database) as connection:
        connection.execute(_REFUSE.format(table=table, code=code, every=every))
        try:
            yield
        finally:
            db.session.rollback()
            connection.execute("SET lock_timeout = '5s'")
            connection.execute(f"DROP TRIGGER IF EXISTS fault_{table} ON {table}")
            connection.execute("DROP FUNCTION fault; DROP SEQUENCE fault_count")


@contextmanager
def crashing_cluster() -> Iterator[CrashingCluster]:
    """A cluster of one's own that can be crashed; what it has acknowledged is kept."""
    with servers.postgres_cluster() as cluster:
        with cluster.connect() as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = on")
            connection.execute("SELECT pg_reload_conf()")
        one = CrashingCluster(cluster)
        try:
            yield one
        finally:
            one.stop()


@dataclass
class CrashingCluster:
    """`crash` kills every server process at once, as when the machine's kernel does; `start` recovers."""

    cluster: PostgresCluster
    _started: list[object] = field(default_factory=list)

    def crash(self) -> None:
        pid = int((self.cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: not _is_running(pid), what="the end of postgres")

    def start(self) -> None:
        self._started.append(servers.start_postgres(self.cluster.folder))
        wait_until(self._accepts, what="postgres")

    def stop(self) -> None:
        for process in self._started:
            servers.stop(process)  # type: ignore[arg-type]

    def _accepts(self) -> bool:
        with suppress(Exception):
            self.cluster.connect().close()
            return True
        return False


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@dataclass
class Cutter:
    """What comes between a client and its server. Every `every`-th COMMIT is carried out, and its answer dropped."""

    folder: Path
    every: int = 0
    commits: int = 0
    cuts: int = 0

    def is_to_be_cut(self) -> bool:
        self.commits += 1
        is_chosen = bool(self.every) and self.commits % self.every == 0
        self.cuts += is_chosen
        return is_chosen


@contextmanager
def cutting_proxy(cluster: PostgresCluster) -> Iterator[Cutter]:
    """A proxy in front of the cluster, at `folder` as its host."""
    with short_folder("cut") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / _SOCKET))
        listener.listen(64)
        cutter = Cutter(folder)
        target = str(cluster.folder / _SOCKET)
        threading.Thread(target=_accept, args=(listener, target, cutter), daemon=True).start()
        yield cutter


def _accept(listener: socket.socket, target: str, cutter: Cutter) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_carry, args=(client, target, cutter), daemon=True).start()


def _carry(client: socket.socket, target: str, cutter: Cutter) -> None:
    """Client to server here; server to client in a thread, until an answer is to be lost."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(target)
    is_muted = threading.Event()
    back = threading.Thread(target=_answer, args=(server, client, is_muted), daemon=True)
    back.start()
    with suppress(OSError):
        while data := client.recv(65536):
            if b"COMMIT" in data and cutter.is_to_be_cut():
                is_muted.set()
            server.sendall(data)
    server.close()
    client.close()


def _answer(server: socket.socket, client: socket.socket, is_muted: threading.Event) -> None:
    with suppress(OSError):
        while data := server.recv(65536):
            if is_muted.is_set():
                break
            client.sendall(data)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)

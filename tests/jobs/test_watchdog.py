"""The watchdog as a process of its own: without Redis, mailing by itself, telling the outside when all is well."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Flask

from portal.adapters.errors import AdapterError
from portal.adapters.heartbeat import ping
from portal.extensions import db
from portal.models.history import Heartbeat
from portal.services import heartbeats
from portal.settings import Settings, child_environment
from tests import servers
from tests.databases import MASTER_KEYS, Database
from tests.factories import Cast
from tests.servers import MailServer, PostgresCluster, wait_until

PARTS = (heartbeats.SCAN, heartbeats.SCHEDULER, heartbeats.REDIS, "worker:here:1")


@dataclass
class Outside:
    """The address that should hear that all is well."""

    port: int = 0
    status: int = 200
    heard: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/beat/token"


@pytest.fixture
def outside() -> Iterator[Outside]:
    it = Outside()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            it.heard.append(self.path)
            self.send_response(it.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield it
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def environment(
    database: Database, settings: Settings, mail_server: MailServer, outside: Outside
) -> dict[str, str]:
    """Quick to notice; Redis does not exist."""
    return child_environment(
        {
            "PORTAL_DATA_DIR": str(settings.data_dir),
            "PORTAL_DATABASE_URL": database.url,
            "PORTAL_REDIS_URL": "unix:///nowhere/redis.sock",
            "PORTAL_MASTER_KEYS": f"1:{MASTER_KEYS[1].hex()}",
            "PORTAL_SECRET_KEY": "test-secret-key",
            "PORTAL_MAIL_URL": mail_server.url,
            "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
            "PORTAL_HEARTBEAT_URL": outside.url,
            "PORTAL_WATCH_SECONDS": "0.1",
            "PORTAL_ALARM_GRACE": "0.3",
            "PORTAL_SWEEP_SECONDS": "0",
            "PORTAL_SCHEDULER_SILENT_AFTER": "1",
            "PORTAL_WORKER_SILENT_AFTER": "1",
        }
    )


@contextmanager
def watchdog(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "jobs.watchdog"], env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            servers.stop(process)


def everybody_lives_until(moment: datetime) -> None:
    for name in PARTS:
        heartbeats.beat(name, moment)


def text_of(mail_server: MailServer) -> str:
    return " ".join(one.get_body(("plain",)).get_content() for one in mail_server.messages)  # type: ignore[union-attr]


def test_neither_redis_nor_rq_is_loaded_by_a_whole_round(
    core_app: Flask, cast: Cast, mail_server: MailServer, environment: dict[str, str]
) -> None:
    """A round that raises alarms, posts notices and mails them itself."""
    code = (
        "import sys, time; from jobs.watchdog import Watchdog; from portal.app import create_core;"
        "from portal.settings import from_env; app = create_core(from_env(), with_redis=False);"
        "dog = Watchdog(app); time.sleep(1.2);\n"
        "with app.app_context():\n    dog.round(); time.sleep(0.5); dog.round()\n"
        "print(sorted({one.split('.')[0] for one in sys.modules} & {'redis', 'rq', 'rq_scheduler'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(mail_server.messages) == 1


def test_without_worker_and_scheduler_a_mail_arrives_and_the_outside_hears_nothing(
    core_app: Flask, cast: Cast, mail_server: MailServer, outside: Outside, environment: dict[str, str]
) -> None:
    with watchdog(environment):
        mail_server.wait_for(1, 20)
        heard = len(outside.heard)
        time.sleep(1)
        assert len(outside.heard) == heard
        assert len(mail_server.to(cast.olga.email)) == len(mail_server.messages) <= 2
    assert "没有工作进程在运行" in text_of(mail_server)


def test_the_outside_hears_while_all_is_well_and_not_when_it_is_not(
    core_app: Flask, cast: Cast, outside: Outside, mail_server: MailServer, environment: dict[str, str]
) -> None:
    everybody_lives_until(datetime.now(UTC) + timedelta(seconds=5))
    with watchdog(environment):
        wait_until(lambda: len(outside.heard) >= 3)
        assert mail_server.messages == []
        db.session.query(Heartbeat).filter_by(name=heartbeats.SCAN).delete()
        db.session.commit()
        mail_server.wait_for(1, 20)
        heard = len(outside.heard)
        time.sleep(0.5)
        assert len(outside.heard) == heard
    assert set(outside.heard) == {"/beat/token"}


@pytest.mark.databases("postgresql")
def test_while_the_database_is_away_a_mail_arrives_and_it_goes_on_afterwards(
    core_app: Flask,
    cast: Cast,
    postgres: PostgresCluster,
    postgres_database: str,
    outside: Outside,
    mail_server: MailServer,
    environment: dict[str, str],
) -> None:
    everybody_lives_until(datetime.now(UTC) + timedelta(minutes=5))
    operator = cast.olga.email
    db.session.remove()
    db.engine.dispose()
    with watchdog(environment) as process, postgres.connect() as connection:
        wait_until(lambda: outside.heard)
        try:
            connection.execute(f'ALTER DATABASE "{postgres_database}" ALLOW_CONNECTIONS false')
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(cut, [postgres_database])
            (mail,) = mail_server.wait_for(1, 20)
            time.sleep(0.5)
            heard = len(outside.heard)
        finally:
            connection.execute(f'ALTER DATABASE "{postgres_database}" ALLOW_CONNECTIONS true')
        assert operator in str(mail["X-Envelope-To"])
        wait_until(lambda: len(outside.heard) > heard)
        assert process.poll() is None
        assert len(mail_server.messages) == 1


@pytest.mark.databases("sqlite")
def test_one_that_starts_while_the_database_is_away_knows_whom_to_tell(
    core_app: Flask,
    cast: Cast,
    tmp_path: Path,
    outside: Outside,
    mail_server: MailServer,
    environment: dict[str, str],
) -> None:
    everybody_lives_until(datetime.now(UTC) + timedelta(minutes=5))
    with watchdog(environment):
        wait_until(lambda: outside.heard)
    broken = environment | {"PORTAL_DATABASE_URL": f"sqlite:///{tmp_path / 'gone' / 'portal.db'}"}
    with watchdog(broken):
        (mail,) = mail_server.wait_for(1, 20)
    assert cast.olga.email in str(mail["X-Envelope-To"])


@pytest.mark.databases("sqlite")
def test_a_disk_that_is_full_is_told_of_though_nothing_can_be_stored(
    core_app: Flask, cast: Cast, outside: Outside, mail_server: MailServer, environment: dict[str, str]
) -> None:
    """The limit stands for the disk: not even the watchdog's own trace can be written."""
    everybody_lives_until(datetime.now(UTC) + timedelta(minutes=5))
    with watchdog(environment):
        wait_until(lambda: outside.heard)
    process = subprocess.Popen(
        ["prlimit", "--fsize=4096", sys.executable, "-m", "jobs.watchdog"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        mail_server.wait_for(1, 20)
    finally:
        process.terminate()
        _, said = process.communicate(timeout=10)
    assert '"alarms": ["storage_full"]' in said


@pytest.mark.databases("sqlite")
def test_it_ends_at_once_when_told_to(core_app: Flask, outside: Outside, environment: dict[str, str]) -> None:
    everybody_lives_until(datetime.now(UTC) + timedelta(minutes=5))
    with watchdog(environment | {"PORTAL_WATCH_SECONDS": "600"}) as process:
        wait_until(lambda: outside.heard)
        process.terminate()
        assert process.wait(2) == 0


@pytest.mark.parametrize("status", [404, 503])
def test_an_outside_that_says_no_is_an_error_in_the_log_alone(outside: Outside, status: int) -> None:
    outside.status = status
    with pytest.raises(AdapterError) as refused:
        ping(outside.url, timeout=5, allowed_networks=("127.0.0.0/8",))
    assert (refused.value.code, refused.value.permanent) == ("heartbeat_unanswered", False)


def test_the_outside_is_not_followed_elsewhere(outside: Outside) -> None:
    outside.status = 302
    ping(outside.url, timeout=5, allowed_networks=("127.0.0.0/8",))
    assert outside.heard == ["/beat/token"]


def test_an_address_within_is_not_asked_unless_it_is_allowed(outside: Outside) -> None:
    with pytest.raises(AdapterError) as refused:
        ping(outside.url, timeout=5)
    assert refused.value.permanent
    assert outside.heard == []

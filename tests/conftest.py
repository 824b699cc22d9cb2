"""Fixtures: databases, Redis, mail, apps, people. Everything is real; nothing reaches beyond loopback.

A test that takes `database`, or anything above it (`app`, `core_app`, `client`, `session`, `factory`, `cast`),
runs on SQLite and on PostgreSQL. To stay on one: `@pytest.mark.databases("sqlite")`.
To change settings: override the fixture `overrides` with a dict of Settings fields.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.key_vault import KeyVault
from portal.app import create_app, create_core
from portal.extensions import db
from portal.settings import Settings
from tests import servers
from tests.browser import Visitor, chromium_browser, visitor
from tests.clients import PortalClient
from tests.databases import EMPTY_ALL, Database, bare_settings, migrate, open_app
from tests.factories import Cast, Factory
from tests.loopback import loopback_only


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Connections and look-ups beyond this machine fail."""
    with loopback_only():
        yield


@pytest.fixture
def now() -> datetime:
    """The moment of the test, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that uses a database on both kinds, or on those that its `databases` mark names."""
    by_hand = [mark for mark in metafunc.definition.iter_markers("parametrize") if "database" in mark.args[0]]
    if "database" in metafunc.fixturenames and not by_hand:
        mark = metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("database", mark.args if mark else ("sqlite", "postgresql"), indirect=True)


# Servers, one of each per xdist worker


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.PostgresCluster]:
    with servers.postgres_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_process() -> Iterator[servers.RedisServer]:
    with servers.redis_server() as server:
        yield server


@pytest.fixture
def redis_server(redis_process: servers.RedisServer) -> servers.RedisServer:
    """A real Redis, empty."""
    redis_process.flush()
    return redis_process


@pytest.fixture
def mail_server() -> Iterator[servers.MailServer]:
    """A real SMTP server; settings name it for every test that takes it."""
    with servers.mail_server() as server:
        yield server


# Databases


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    migrate(folder, f"sqlite:///{folder / 'portal.db'}")
    return folder / "portal.db"


@pytest.fixture(scope="session")
def postgres_database(postgres: servers.PostgresCluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated PostgreSQL database."""
    name = f"portal_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    postgres.create(name)
    migrate(tmp_path_factory.mktemp("migrated"), postgres.url(name))
    return name


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database of either kind."""
    if request.param == "sqlite":
        path = tmp_path / "portal.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return Database("sqlite", f"sqlite:///{path}")
    name = request.getfixturevalue("postgres_database")
    cluster: servers.PostgresCluster = request.getfixturevalue("postgres")
    with cluster.connect(name) as connection:
        connection.execute(EMPTY_ALL)
    return Database("postgresql", cluster.url(name))


# Apps


@pytest.fixture
def overrides() -> dict[str, Any]:
    """Settings that a test module wants to be different."""
    return {}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """The socket that a live server of this test will answer on; `settings.base_url` names it."""
    with servers.listening_socket() as sock:
        yield sock


@pytest.fixture
def settings(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    redis_server: servers.RedisServer,
    listener: socket.socket,
    overrides: dict[str, Any],
) -> Settings:
    """Settings of a private installation under tmp_path."""
    wanted = request.fixturenames
    host, port = listener.getsockname()
    url = (
        request.getfixturevalue("database").url
        if "database" in wanted
        else f"sqlite:///{tmp_path / 'portal.db'}"
    )
    plain = replace(
        bare_settings(tmp_path, url),
        redis_url=redis_server.url,
        base_url=f"http://{host}:{port}",
        mail_url=request.getfixturevalue("mail_server").url if "mail_server" in wanted else "",
        payment_sandbox_secret="test-payment-secret",
        allowed_networks=("127.0.0.0/8",),
    )
    return replace(plain, **overrides)


@pytest.fixture
def core_app(database: Database, settings: Settings) -> Iterator[Flask]:
    """The app as workers have it, its context pushed."""
    app = create_core(settings)
    app.testing = True
    with open_app(app):
        yield app


@pytest.fixture
def app(database: Database, settings: Settings) -> Iterator[Flask]:
    """The whole portal, its context pushed."""
    app = create_app(settings)
    app.testing = True
    app.test_client_class = PortalClient
    with open_app(app):
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser's stand-in without a log-in; see tests/clients.py for what it can do."""
    return app.test_client()


@pytest.fixture
def some_app(request: pytest.FixtureRequest) -> Flask:
    """`app` where the test uses pages, else `core_app`: so that `session` and `factory` serve both."""
    wanted = {"app", "client", "live_server"} & set(request.fixturenames)
    chosen: Flask = request.getfixturevalue("app" if wanted else "core_app")
    return chosen


@pytest.fixture
def session(database: Database, some_app: Flask) -> scoped_session[Session]:
    """db.session inside the app context."""
    return db.session


@pytest.fixture
def vault(settings: Settings) -> KeyVault:
    return KeyVault(settings.master_keys)


@pytest.fixture
def factory(session: scoped_session[Session], vault: KeyVault, now: datetime) -> Factory:
    """Makes rows."""
    return Factory(session, vault, now)


@pytest.fixture
def cast(factory: Factory) -> Cast:
    """Alice (owner), Bob (viewer beside her), Charlie (owner elsewhere), Olga (operator)."""
    return factory.cast()


@pytest.fixture
def live_server(app: Flask, listener: socket.socket) -> Iterator[str]:
    """The portal on a real port; the address."""
    with servers.web_server(app, listener) as address:
        yield address


# Chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, one per xdist worker."""
    with chromium_browser() as browser:
        yield browser


@pytest.fixture(params=["zh-CN", "en-US"])
def page(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Visitor]:
    """A visitor whose browser speaks that language; what the browser complains of fails the test at its end."""
    with visitor(chromium, request.param) as one:
        yield one


#: Folders of tests that take long, and wait for processes for most of it.
SLOW_FOLDERS = ("stories", "faults", "cli", "embedded", "jobs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow ones first: at the end of a run nobody waits for a last long story."""
    items.sort(key=lambda item: not any(part in SLOW_FOLDERS for part in item.path.parts))

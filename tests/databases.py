"""Databases for tests: made once by the real migrations, then copied or emptied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade

from portal.app import create_core
from portal.extensions import db
from portal.settings import Settings

MASTER_KEYS = {1: bytes(range(32))}

#: Leftover connections of an earlier test are cut; only tables with rows are touched.
EMPTY_ALL = """
DO $$
DECLARE
    one text;
    filled boolean;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT quote_ident(tablename) FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || one || ')' INTO filled;
        IF filled THEN EXECUTE 'DELETE FROM ' || one; END IF;
    END LOOP;
END $$
"""


@dataclass(frozen=True)
class Database:
    """An empty database with the newest schema."""

    kind: str
    url: str


def bare_settings(data_dir: Path, database_url: str) -> Settings:
    """The least that an app needs. Tests choose their own `now`: only those of clocks hold it against another one."""
    return Settings(
        data_dir,
        database_url,
        "unix:///nowhere/redis.sock",
        "test-secret-key",
        MASTER_KEYS,
        clock_tolerance=float("1e9"),
    )


def migrate(data_dir: Path, database_url: str) -> None:
    """Run the real migrations."""
    app = create_core(bare_settings(data_dir, database_url))
    with open_app(app):
        upgrade()


@contextmanager
def open_app(app: Flask) -> Iterator[Flask]:
    """An app context at whose end every connection is closed."""
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()
            app.extensions["redis"].close()

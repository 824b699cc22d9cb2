"""How the two databases are opened, and their own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import BindParameter, Engine, Float, event, literal
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.expression import FunctionElement

from portal.models.types import UtcDateTime
from portal.settings import Settings

#: How long a writer waits for another one before SQLite says "database is locked".
SQLITE_BUSY_MS = 30_000

#: A connection that was used this recently is not asked whether it lives (seconds).
IDLE = 1.0

#: A server that falls silent is given up after half a minute (libpq; on a unix socket there is no such silence).
_POSTGRES_PATIENCE = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options of create_engine. `hide_parameters` keeps values out of exception texts and logs."""
    options: dict[str, Any] = {"hide_parameters": True}
    if not settings.is_sqlite:
        options |= {"pool_recycle": 1800, "pool_size": 8, "max_overflow": 8}
        options["connect_args"] = dict(_POSTGRES_PATIENCE)
    return options


def configure_engine(engine: Engine) -> None:
    """Prepare every new SQLite connection: WAL, foreign keys, patience. Ask others whether they still live."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        return
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _asker(engine))


def _note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _asker(engine: Engine) -> Callable[[Any, ConnectionPoolEntry, object], None]:
    """SQLAlchemy's pool_pre_ping for connections that were idle: a busy one would be asked twenty times a renewal."""

    def ask(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get("used_at", time.monotonic()) < IDLE:
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:
            # Whatever the driver says: none of this pool's connections is believed any more.
            raise InvalidatePoolError from error

    return ask


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


class database_now(FunctionElement[Any]):
    """The database's own clock, `seconds` from now: leases are measured by it, whatever a worker's clock says."""

    type = UtcDateTime()
    inherit_cache = True
    name = "database_now"

    def __init__(self, seconds: float | BindParameter[float] = 0) -> None:
        is_bound = isinstance(seconds, BindParameter)
        super().__init__(seconds if is_bound else literal(float(seconds), Float()))


@compiles(database_now, "postgresql")
def _on_postgresql(element: database_now, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {seconds}))"


@compiles(database_now, "sqlite")
def _on_sqlite(element: database_now, compiler: Any, **options: Any) -> str:
    # Six decimals, as SQLAlchemy writes them, so that texts compare as times do.
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds') || '000')"

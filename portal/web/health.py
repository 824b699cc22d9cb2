"""`/healthz`: the process answers. `/readyz`: the database is there, at the newest migration. `/healthz/jobs`: the work
in the background goes on, by the watchdog's own rules.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, Response, current_app, jsonify
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db
from portal.services import watching
from portal.services.operations import settings
from portal.web.clock import now

blueprint = Blueprint("health", __name__)

#: Who was never heard has been silent since then.
EVER = datetime(2000, 1, 1, tzinfo=UTC)


@cache
def _newest_migration(folder: str) -> str | None:
    return ScriptDirectory(folder).get_current_head()


def _database() -> str:
    """ok, behind (migrations are missing) or away."""
    try:
        present = db.session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except SQLAlchemyError:
        db.session.rollback()
        return "away"
    return "ok" if present == _newest_migration(f"{current_app.root_path}/migrations") else "behind"


def _redis() -> str:
    try:
        current_app.extensions["redis"].ping()
    except RedisError:
        return "away"
    return "ok"


@blueprint.get("/healthz")
def healthz() -> Response:
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """503 while the database is not ready. Without Redis pages still read: that is degraded, not down."""
    parts: dict[str, Any] = {"database": _database(), "redis": _redis()}
    is_ready = parts["database"] == "ok"
    status = "unavailable" if not is_ready else ("ok" if parts["redis"] == "ok" else "degraded")
    return jsonify(status=status, **parts), 200 if is_ready else 503


@blueprint.get("/healthz/jobs")
def healthz_jobs() -> tuple[Response, int]:
    """503 while the scan, the scheduler, the workers or Redis are silent, or work or mail waits for too long."""
    try:
        troubles = watching.examine(settings(), now(), EVER)
    except SQLAlchemyError:
        db.session.rollback()
        return jsonify(status="unavailable", failing=["database_away"]), 503
    failing = [one.kind.value for one in troubles]
    return jsonify(status="failing" if failing else "ok", failing=failing), 503 if failing else 200


def register(app: Flask) -> None:
    app.register_blueprint(blueprint)

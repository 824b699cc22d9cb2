"""Alembic's environment: the portal's own engine and metadata."""

from alembic import context
from flask import current_app

import portal.models  # noqa: F401  (every table)
from portal.extensions import Base


def _render(kind, item, autogen):
    """Column types of ours are written as the plain types beneath them, so that old revisions outlive refactorings."""
    from portal.models.types import EnumText, UtcDateTime

    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, EnumText):
        return "sa.String(length=32)"
    if kind == "type" and type(item).__name__ == "JSON":
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False


def run_online():
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection:
        _without_foreign_keys(connection)
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            render_item=_render,
            compare_type=False,
        )
        with context.begin_transaction():
            context.run_migrations()


def _without_foreign_keys(connection):
    """SQLite changes a table by making it anew; with foreign keys on, dropping the old one would empty others."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.commit()


run_online()

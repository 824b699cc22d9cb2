"""`portal db`: the schema."""

from __future__ import annotations

import click
from flask_migrate import upgrade

from portal.cli.context import with_portal


@click.group("db")
def database() -> None:
    """The database schema."""


@database.command("upgrade")
@with_portal
def upgrade_command() -> None:
    """Bring the schema to the newest revision."""
    upgrade()


@database.command("revise")
@click.argument("message")
@with_portal
def revise_command(message: str) -> None:
    """Write a new revision from what the models say and the database does not (for developers)."""
    from flask_migrate import migrate

    migrate(message=message)

"""`portal create-operator EMAIL`: the password is asked for, read from a file, or made and shown once."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from portal.cli.context import with_portal
from portal.clock import utc_now
from portal.extensions import db
from portal.services import operators


def _password(file: Path | None, is_generated: bool) -> str:
    if is_generated:
        password = secrets.token_urlsafe(15)
        click.echo(f"Password (shown this once): {password}")
        return password
    if file is not None:
        return file.read_text("utf-8").strip("\r\n")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


@click.command("create-operator")
@click.argument("email")
@click.option("--password-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--generate", is_flag=True, help="Make a password and show it once.")
@with_portal
def create_operator(email: str, password_file: Path | None, generate: bool) -> None:
    """Create an operator account. There is no default password anywhere."""
    if password_file and generate:
        raise click.UsageError("give --password-file or --generate, not both")
    password = _password(password_file, generate)
    user = operators.create(db.session, email, password, utc_now())
    click.echo(f"Operator {user.email} created.")

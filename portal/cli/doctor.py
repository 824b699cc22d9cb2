"""`portal doctor`: checks an installation and says what to mend."""

from __future__ import annotations

import click

from portal.cli import table
from portal.cli.context import with_portal
from portal.clock import utc_now
from portal.services import checkup
from portal.services.findings import Health
from portal.services.operations import settings


@click.command()
@with_portal
def doctor() -> None:
    """Check this installation. Exit code 1 if something is broken; warnings leave it at 0."""
    findings = list(checkup.examine(settings(), utc_now()))
    click.echo(
        table.render(
            [("check", "health", "found"), *((one.name, one.health, one.detail) for one in findings)]
        )
    )
    to_mend = [one for one in findings if one.mend]
    if to_mend:
        click.echo("\nto mend:")
    for one in to_mend:
        click.echo(f"  {one.name}: {one.mend}")
    if any(one.health is Health.BROKEN for one in findings):
        raise click.exceptions.Exit(1)

"""`portal scan`: one expiry scan."""

from __future__ import annotations

import click

from portal.cli.context import with_portal
from portal.clock import utc_now
from portal.services import scanning


@click.command()
@click.option("--dry-run", is_flag=True, help="List what is due and ring for nothing.")
@with_portal
def scan(dry_run: bool) -> None:
    """Find what is due and hand it to the workers."""
    now = utc_now()
    for due in scanning.list_due(now):
        click.echo(
            f"{due.name}\t{due.state.value}\texpires {due.not_after:%Y-%m-%d}\trenewal {due.renewal_id}"
        )
    if dry_run:
        return
    rung = scanning.scan(now)
    click.echo(", ".join(f"{count} {name}s" for name, count in rung.items()) + " handed to the workers")

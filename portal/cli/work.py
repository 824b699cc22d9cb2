"""`portal work`: doing what is due in this process, without Redis or workers (cron-like use)."""

from __future__ import annotations

from datetime import timedelta

import click

from portal.cli.context import with_portal
from portal.services import scanning


@click.command()
@click.option("--until-idle", is_flag=True, required=True, help="End when nothing is due any more.")
@click.option("--patience", default=10.0, show_default=True, help="Seconds ahead that still count as due.")
@with_portal
def work(until_idle: bool, patience: float) -> None:
    """Run every step that is due."""
    assert until_idle
    driven = scanning.work_until_idle(patience=timedelta(seconds=patience))
    click.echo(f"{driven} operations driven; nothing is due now")

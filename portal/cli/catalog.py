"""`portal catalog`: what is sold."""

from __future__ import annotations

from pathlib import Path

import click

from portal.cli.context import with_portal
from portal.clock import utc_now
from portal.services import catalogue_loading


@click.group()
def catalog() -> None:
    """Certificate products and the hosting fee."""


@catalog.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_portal
def load(file: Path) -> None:
    """Load products and prices from FILE (see docs/catalogue.example.toml)."""
    loaded = catalogue_loading.load(file.read_text("utf-8"), "cli", utc_now())
    click.echo(f"{loaded.products} products loaded; price book edition {loaded.edition} holds")

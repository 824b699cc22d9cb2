"""The `portal` command. Each subcommand lives in a module of its own and is imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping

import click

from portal.adapters.loading import load
from portal.settings import SettingsError

COMMANDS: Mapping[str, str] = {
    "ca": "portal.cli.ca:ca",
    "catalog": "portal.cli.catalog:catalog",
    "cloud-account": "portal.cli.cloud:cloud_account",
    "create-operator": "portal.cli.operator:create_operator",
    "db": "portal.cli.database:database",
    "delegation": "portal.cli.delegation:delegation",
    "demo": "portal.cli.demo:demo",
    "doctor": "portal.cli.doctor:doctor",
    "keys": "portal.cli.keys:keys",
    "renew": "portal.cli.renew:renew",
    "sandbox": "portal.cli.sandbox:sandbox",
    "scan": "portal.cli.scan:scan",
    "target": "portal.cli.cloud:target",
    "up": "portal.cli.up:up",
    "work": "portal.cli.work:work",
}


class LazyGroup(click.Group):
    """Knows its commands by name; imports the one that is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = load(COMMANDS[cmd_name])
        return command


@click.command(cls=LazyGroup)
@click.version_option(package_name="perennial", prog_name="portal")
def portal() -> None:
    """Perennial (常青): TLS certificates that keep themselves alive."""


def main() -> None:
    """Entry point: a wrong setting is one line, not a traceback."""
    try:
        portal()
    except SettingsError as error:
        raise SystemExit(f"portal: {error}") from None

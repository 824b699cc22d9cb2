"""`portal up`: a whole installation with one command."""

from __future__ import annotations

import signal

import click

from portal import logs
from portal.embedded import programs
from portal.embedded.installation import Installation, InstallationError
from portal.settings import is_set, master_key_file

DEFAULT_PORT = 8080
ENDS = (signal.SIGINT, signal.SIGTERM)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port to listen on.")
def up(host: str, port: int) -> None:
    """Run everything on this machine: Redis (unless PORTAL_REDIS_URL names one), web, workers, scheduler."""
    logs.configure(as_json=True)
    end_by_sigterm_too()
    if programs.free_port(host, port) != port:
        raise click.ClickException(f"port {port} is taken; choose another one with --port")
    environment = {} if is_set("PORTAL_BASE_URL") else {"PORTAL_BASE_URL": programs.local_url(host, port)}
    try:
        with Installation(host, port, environment) as installation:
            installation.wait_until_ready()
            _tell(installation)
            wait_for_end()
            click.echo("stopping …")
    except (InstallationError, OSError) as error:
        raise click.ClickException(str(error)) from None


def wait_for_end() -> None:
    """Until Ctrl-C or SIGTERM. Further ones are ignored: what follows is the orderly end."""
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)


def end_by_sigterm_too() -> None:
    """Have SIGTERM end this process as Ctrl-C does: with everything it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _tell(installation: Installation) -> None:
    settings = installation.settings
    click.echo(f"Perennial answers at {settings.base_url}")
    click.echo(f"data and logs: {settings.data_dir}, {installation.log_dir}")
    if not is_set("PORTAL_MASTER_KEYS"):
        click.echo(
            f"master key: {master_key_file(settings.data_dir)}\n"
            "  It opens every private key and credential stored here. Keep a copy of it in a safe place, apart from\n"
            "  the database's: whoever loses it loses all keys, and nobody can bring them back."
        )
    if installation.needs_operator:
        click.echo(
            f"set up the first operator at {settings.base_url}/setup\n"
            f"  with the code in {settings.data_dir / 'setup.code'}, or with: portal create-operator"
        )
    click.echo("Ctrl-C ends it.")

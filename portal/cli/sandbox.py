"""`portal sandbox`: the outside world on this machine."""

from __future__ import annotations

import shlex

import click

from portal.cli.up import end_by_sigterm_too, wait_for_end
from portal.sandbox.world import Ports, SandboxWorld, portal_environment, token_file
from portal.settings import from_env

_DEFAULT = Ports()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--cloud-port", default=_DEFAULT.cloud, show_default=True, help="The cloud's interface.")
@click.option("--edge-port", default=_DEFAULT.edge, show_default=True, help="The cloud's TLS edge.")
@click.option("--payment-port", default=_DEFAULT.payment, show_default=True, help="The payment page.")
@click.option("--mailbox-port", default=_DEFAULT.mailbox, show_default=True, help="The mailbox's web view.")
@click.option("--smtp-port", default=_DEFAULT.smtp, show_default=True, help="The mailbox's SMTP.")
def sandbox(
    host: str, cloud_port: int, edge_port: int, payment_port: int, mailbox_port: int, smtp_port: int
) -> None:
    """Run a cloud with a TLS edge, a payment page and a mailbox. What they keep lies in the data folder."""
    end_by_sigterm_too()
    folder = from_env().data_dir / "sandbox"
    ports = Ports(cloud_port, edge_port, payment_port, mailbox_port, smtp_port)
    try:
        with SandboxWorld(folder, host, ports) as world:
            click.echo(f"cloud    {world.cloud.url}  (token: {token_file(folder)})")
            click.echo(f"edge     {world.cloud.edge_address}")
            click.echo(f"payment  {world.payment.url}")
            click.echo(f"mailbox  {world.mailbox.url}  ({world.mailbox.smtp_url})")
            click.echo("\nA portal lives in it with these settings:")
            for name, value in portal_environment(folder, host, ports).items():
                click.echo(f"export {name}={shlex.quote(value)}")
            click.echo("\nCtrl-C ends it.")
            wait_for_end()
    except OSError as error:
        raise click.ClickException(f"cannot listen: {error.strerror or error}") from None

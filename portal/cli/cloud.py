"""`portal cloud-account` and `portal target`: where certificates are deployed to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from portal.adapters.cloud.registry import PROVIDERS
from portal.adapters.errors import AdapterError
from portal.cli.context import with_portal
from portal.clock import utc_now
from portal.services import cloud_accounts, targets
from portal.services.acting import Actor
from portal.services.targets import NewTarget

_organisation = click.option(
    "--organisation", "who", default="", help="Name or id; needed where there are several organisations."
)


@click.group("cloud-account")
def cloud_account() -> None:
    """Accounts at clouds."""


@cloud_account.command("add")
@click.argument("name")
@click.option("--provider", type=click.Choice(sorted(PROVIDERS)), required=True)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="A field that is no secret.")
@click.option(
    "--secret-file", "files", multiple=True, metavar="FIELD=FILE", help="A secret field, from a file."
)
@click.option("--check/--no-check", default=True, help="Ask the cloud whether the credentials would do.")
@_organisation
@with_portal
def add_account(
    name: str, provider: str, settings: tuple[str, ...], files: tuple[str, ...], check: bool, who: str
) -> None:
    """Add an account. Secrets are read from files, or asked for; they are sealed and never shown again."""
    given = _read_fields(provider, _pairs(settings), _pairs(files))
    account = cloud_accounts.add_account(name, provider, given, _actor(who), utc_now())
    click.echo(f"cloud account {account.name} added ({account.id})")
    if not check:
        return
    try:
        cloud_accounts.check_account(account, utc_now())
    except AdapterError as error:
        click.echo(f"the cloud does not accept it yet: {error}; policy actions needed:", err=True)
        for permission in PROVIDERS[provider].permissions:
            click.echo(f"  {permission}", err=True)
        raise click.exceptions.Exit(2) from None
    click.echo("the cloud accepts its credentials")


@cloud_account.command("list")
@_organisation
@with_portal
def list_accounts(who: str) -> None:
    """List the accounts of an organisation."""
    for account in cloud_accounts.list_accounts(_actor(who).organisation_id):
        state = account.error_code or (
            f"checked {account.checked_at:%Y-%m-%d}" if account.checked_at else "unchecked"
        )
        click.echo(f"{account.name}\t{account.provider}\t{state}\t{account.id}")


@click.group()
def target() -> None:
    """Domains on cloud products that certificates are deployed to."""


@target.command("add")
@click.argument("domain")
@click.option("--account", "name", required=True, help="Name or id of the cloud account.")
@click.option("--product", default="cdn", show_default=True)
@click.option("--live-address", metavar="HOST:PORT", help="Where the live check connects, if not DOMAIN:443.")
@click.option("--live-host", help="The name that the live check asks for where DOMAIN is a wildcard.")
@_organisation
@with_portal
def add_target(
    domain: str, name: str, product: str, live_address: str | None, live_host: str | None, who: str
) -> None:
    """Add a target."""
    actor = _actor(who)
    account = cloud_accounts.get_account(actor.organisation_id, name)
    new = NewTarget(product, domain, live_address, live_host)
    added = targets.add_target(account, new, actor, utc_now())
    click.echo(f"target {added.product} {added.domain} added ({added.id})")


@target.command("list")
@_organisation
@with_portal
def list_targets(who: str) -> None:
    """List the targets of an organisation, with what was last seen served there."""
    for one in targets.list_targets(_actor(who).organisation_id):
        seen = (
            f"{one.served_sha256[:16]} on {one.served_at:%Y-%m-%d}"
            if one.served_sha256 and one.served_at
            else "-"
        )
        click.echo(f"{one.domain}\t{one.product}\t{one.cloud_account.name}\t{seen}\t{one.id}")


def _actor(who: str) -> Actor:
    """The command line, acting for an organisation."""
    return Actor("cli", cloud_accounts.organisation_named(who).id)


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"expected FIELD=…, got {name!r}")
        pairs[name] = value
    return pairs


def _read_fields(provider: str, settings: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
    """The provider's fields. A secret on the command line is refused: others can read it there."""
    secret = [field for field in PROVIDERS[provider].fields if field.is_secret]
    for field in secret:
        if field.name in settings:
            raise click.UsageError(f"{field.name} is a secret: give it with --secret-file {field.name}=FILE")
    given = dict(settings)
    for name, path in files.items():
        try:
            given[name] = Path(path).read_text("utf-8").strip()
        except OSError as error:
            raise click.UsageError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
    for field in secret:
        if field.name not in given and field.is_required:
            given[field.name] = click.prompt(field.label, hide_input=True)
    return given

"""`portal delegation`: the service's own zone, which customers' validation records point into."""

from __future__ import annotations

import os
from pathlib import Path

import click

from portal.adapters.dns.registry import KINDS
from portal.cli.context import with_portal
from portal.clock import utc_now
from portal.domain.errors import DomainError
from portal.services import delegation as zones


@click.group()
def delegation() -> None:
    """The zone that customers delegate _acme-challenge to."""


@delegation.command("set")
@click.argument("zone")
@click.option("--dns", type=click.Choice(sorted(KINDS)), required=True, help="DNS provider of the zone.")
@click.option("--dns-option", multiple=True, metavar="KEY=VALUE", help="A setting of the DNS provider.")
@click.option("--dns-secret-file", multiple=True, metavar="KEY=FILE", help="A secret of it, from a file.")
@click.option("--resolver", help="DNS server (address:port) that finds the zone's name servers.")
@with_portal
def set_command(
    zone: str, dns: str, dns_option: tuple[str, ...], dns_secret_file: tuple[str, ...], resolver: str | None
) -> None:
    """Have ZONE, and try it out. If that fails, mend the cause and probe again."""
    given = _pairs(dns_option)
    secret = {field.name for field in KINDS[dns].fields if field.is_secret}
    if exposed := sorted(secret & set(given)):
        raise click.UsageError(f"{exposed[0]} is a secret: give it with --dns-secret-file {exposed[0]}=FILE")
    given |= {key: _read(path) for key, path in _pairs(dns_secret_file).items()}
    row = zones.set_up(zone, dns, given, resolver, "cli", utc_now())
    click.echo(f"{row.zone}: written to through {KINDS[dns].label}")
    _probe()


@delegation.command()
@with_portal
def probe() -> None:
    """Write a trial record, read it back at the zone's name servers, and take it away."""
    _probe()


@delegation.command()
@with_portal
def show() -> None:
    """Show the zone: how it is written to, and whether it has been tried out."""
    row = zones.find()
    if row is None:
        raise DomainError("delegation_zone_missing")
    options = ", ".join(f"{key}={value}" for key, value in sorted(row.config.items()) if value)
    tried = f"{row.verified_at:%Y-%m-%d %H:%M} UTC" if row.verified_at else "never: portal delegation probe"
    click.echo(f"zone\t{row.zone}\nprovider\t{row.kind} ({options})")
    click.echo(f"resolver\t{row.resolver or 'of the system'}\ntried out\t{tried}")


def _probe() -> None:
    row = zones.probe(utc_now())
    click.echo(f"{row.zone}: a trial record was written, seen and taken away; customers can delegate to it")


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(key and value for key, value in pairs.items()):
        raise click.UsageError("expected KEY=VALUE")
    return pairs


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise click.UsageError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from None

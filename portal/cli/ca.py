"""`portal ca`: accounts at certificate authorities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_crl

from portal.adapters.ca.registry import KINDS as CA_KINDS
from portal.adapters.dns.registry import KINDS as DNS_KINDS
from portal.cli.context import with_portal
from portal.clock import utc_now
from portal.services import ca_accounts, ca_standings, ca_switches, publishing

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def ca() -> None:
    """Certificate authorities and the accounts at them."""


@ca.command()
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(sorted(CA_KINDS)), help="Default: acme with --directory, else private."
)
@click.option("--directory", help="Directory URL of an ACME server.")
@click.option("--ca-bundle", type=FILE, help="PEM file that the directory's own certificate is trusted by.")
@click.option("--eab-kid", help="Key identifier of external account binding.")
@click.option("--eab-hmac-file", type=FILE, help="File with its HMAC key (base64url).")
@click.option(
    "--challenge", type=click.Choice(["dns-01", "http-01"]), help="Default: dns-01 with --dns, else http-01."
)
@click.option(
    "--dns", type=click.Choice(sorted(DNS_KINDS)), help="DNS provider that validation records go to."
)
@click.option("--dns-option", multiple=True, metavar="KEY=VALUE", help="A setting of the DNS provider.")
@click.option("--dns-secret-file", multiple=True, metavar="KEY=FILE", help="A secret of the DNS provider.")
@click.option("--resolver", help="DNS server (address:port) that is asked for CNAME delegations.")
@click.option("--limits", help="Limits of the CA that are kept here: letsencrypt, none, or a JSON list.")
@click.option("--max-in-flight", help="How many orders may be open at once.")
@click.option("--option", multiple=True, metavar="KEY=VALUE", help="Any other setting of this kind of CA.")
@with_portal
def add(
    name: str, kind: str | None, dns: str | None, dns_option: tuple[str, ...], dns_secret_file: tuple[str, ...],
    eab_hmac_file: Path | None, option: tuple[str, ...], **settings: Any,
) -> None:  # fmt: skip
    """Add the account NAME and register it. If registering fails, mend the cause and give the same command again."""
    kind = kind or ("acme" if settings["directory"] else "private")
    config = _defaults(kind) | _pairs(option) | _plain_settings(settings)
    secrets = {
        f"dns.{key}": Path(path).read_text("utf-8").strip() for key, path in _pairs(dns_secret_file).items()
    }
    if kind == "acme":
        config["challenge"] = settings["challenge"] or ("dns-01" if dns else "http-01")
    if config.get("challenge") == "dns-01" and not dns:
        raise click.UsageError("dns-01 needs --dns")
    if eab_hmac_file:
        secrets["eab_hmac"] = eab_hmac_file.read_text("utf-8").strip()
    if bool(settings["eab_kid"]) != bool(eab_hmac_file):
        raise click.UsageError("--eab-kid and --eab-hmac-file go together")
    if dns:
        config["dns"] = {"kind": dns, "config": _pairs(dns_option)}
    account = ca_accounts.add(name, kind, config, secrets, "cli", utc_now())
    ca_accounts.ensure_registered(account)
    click.echo(f"{name}: registered as {account.account_url}")


@ca.command("list")
@with_portal
def list_command() -> None:
    """List the accounts: name, kind, directory, address at the CA."""
    for account in ca_accounts.list_all():
        where = account.config.get("directory_url") or "-"
        state = account.account_url or "not registered"
        click.echo(f"{account.name}\t{account.kind}\t{where}\t{state}")


@ca.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; it is kept with the act.")
@with_portal
def pause(name: str, reason: str) -> None:
    """Give the account NAME no more orders until it is resumed."""
    ca_switches.pause(name, "cli", reason, utc_now())
    click.echo(f"{name}: paused")


@ca.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; it is kept with the act.")
@with_portal
def resume(name: str, reason: str) -> None:
    """Give the account NAME orders again; what waited for it is due at once."""
    ca_switches.resume(name, "cli", reason, utc_now())
    click.echo(f"{name}: resumed")


@ca.command()
@click.argument("name")
@click.option("--set", "limits", help="Keep these limits: letsencrypt, none, or a JSON list.")
@click.option("--max-in-flight", help="How many orders may be open at once; empty for any number.")
@with_portal
def limits(name: str, limits: str | None, max_in_flight: str | None) -> None:
    """Show what is left of the quota of the account NAME, after changing its limits where that is asked."""
    if limits is not None or max_in_flight is not None:
        ca_switches.set_limits(name, _limits(limits), max_in_flight, "cli", utc_now())
    now = utc_now()
    standing = ca_standings.of(ca_accounts.get(name), now)
    until = f" until {standing.until:%Y-%m-%d %H:%M:%S} UTC" if standing.until else ""
    click.echo(f"{name}: {standing.standing}{until}")
    click.echo(f"in flight\t{standing.in_flight} of {standing.max_in_flight or 'any number'}")
    for quota in standing.quotas:
        left = f"{quota.left} of {quota.limit.capacity} left"
        click.echo("\t".join(part for part in (quota.limit.name, left, quota.scope) if part))
    for held in standing.held:
        click.echo(f"held\tuntil {held.until:%Y-%m-%d %H:%M:%S} UTC\t{held.name or 'a set of names'}")


@ca.command()
@click.argument("name")
@with_portal
def root(name: str) -> None:
    """Print the root certificate of the private CA NAME, for those who shall trust it."""
    pem = getattr(ca_accounts.connect(ca_accounts.get(name)), "root_pem", None)
    if pem is None:
        raise click.UsageError(f"{name} is not a private CA")
    click.echo(pem, nl=False)


@ca.command()
@click.argument("name")
@click.option("--der", is_flag=True, help="As DER, not as PEM.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write a file instead.")
@with_portal
def crl(name: str, der: bool, output: Path | None) -> None:
    """Print the revocation list of the private CA NAME, for those who cannot fetch it from the portal."""
    account = ca_accounts.get(name)
    if account.kind != "private":
        raise click.UsageError(f"{name} is not a private CA")
    content = publishing.crl(account.id, utc_now())
    if not der:
        content = load_der_x509_crl(content).public_bytes(Encoding.PEM)
    if output is None:
        click.echo(content, nl=False)
    else:
        output.write_bytes(content)


def _defaults(kind: str) -> dict[str, Any]:
    return {field.name: field.default for field in CA_KINDS[kind].fields if field.default}


def _plain_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are stored: the bundle's text, since other hosts do not have the file."""
    bundle: Path | None = settings["ca_bundle"]
    given = {
        "directory_url": settings["directory"],
        "ca_bundle": bundle.read_text("utf-8") if bundle else None,
        "eab_kid": settings["eab_kid"],
        "resolver": settings["resolver"],
        "limits": _limits(settings["limits"]),
        "max_in_flight": settings["max_in_flight"],
    }
    return {key: value for key, value in given.items() if value}


def _limits(text: str | None) -> Any:
    """The name of a preset, or the list that is written out in JSON."""
    if text is None or not text.lstrip().startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise click.UsageError("--limits: this is no JSON list") from None


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(key and value for key, value in pairs.items()):
        raise click.UsageError("expected KEY=VALUE")
    return pairs

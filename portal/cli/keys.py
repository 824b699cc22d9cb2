"""`portal keys`: the master keys."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click
from flask import current_app

from portal.adapters.key_vault import KeyVault, VaultError
from portal.cli.context import with_portal
from portal.services import rewrapping
from portal.services.operations import settings
from portal.settings import parse_master_keys


@click.group()
def keys() -> None:
    """The master keys that seal private keys and credentials."""


@keys.command()
@with_portal
def rotate() -> None:
    """Make a new master key and wrap every sealed value under it.

    With keys in a file, a new version is added there first; running processes follow by themselves. With keys in the
    environment, add the new version there yourself, restart, and run this to wrap what is still under the old one.
    """
    path = settings().master_keys_file
    if path is not None:
        click.echo(
            f"Master key {_add_key(path)} added to {path}. Back this file up: losing it loses every sealed key."
        )
    try:
        rewrapped, already = rewrapping.rewrap_all()
    except VaultError as error:
        raise click.ClickException(
            f"{error}; nothing was lost, run this again with that key configured"
        ) from None
    click.echo(f"{rewrapped} sealed values wrapped anew, {already} were already under the newest master key")
    _say_unused()


def _add_key(path: Path) -> int:
    """Write the file anew with one more key, in one step, and use it from here on."""
    held = path.read_text("utf-8").rstrip("\n")
    version = max(parse_master_keys(held)) + 1
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{held}\n{version}:{secrets.token_hex(32)}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    current_app.extensions["vault"] = KeyVault(parse_master_keys(path.read_text("utf-8")))
    return version


def _say_unused() -> None:
    used = rewrapping.versions_in_use()
    for version in sorted(set(settings().master_keys) - set(used)):
        click.echo(
            f"Master key {version} seals nothing any more; keep it only for backups made before today."
        )

"""What `portal renew --ca` says and does."""

from __future__ import annotations

import math
from datetime import datetime

import click

from portal.cli import table
from portal.domain.replacement import ReplacementEvent
from portal.services import replacement_pages, replacing
from portal.services.replacement_pages import Progress


def begin(
    ca: str, issued_before: datetime, per_hour: int, reason: str, now: datetime, *, is_agreed: bool
) -> None:
    """Say how many it is, ask, start."""
    seen = replacing.preview(ca, issued_before, now)
    hours = math.ceil(seen.total / per_hour)
    click.echo(
        f"{seen.total} hosted certificates of {ca}, issued before {seen.issued_before:%Y-%m-%d %H:%M} UTC; "
        f"at {per_hour} an hour: {hours} hours"
    )
    if seen.not_hosted_count:
        click.echo(f"{seen.not_hosted_count} more are not hosted, so not ours to renew; their owners must:")
        for one in seen.not_hosted:
            click.echo(f"  {one.name}\t{one.id}\texpires {one.not_after:%Y-%m-%d}")
    if seen.total and not is_agreed:
        click.confirm("Renew them?", abort=True)
    row = replacing.start(ca, issued_before, per_hour, reason, "cli", now)
    click.echo(f"begun: {row.id}; see portal renew --status")


def show(now: datetime) -> None:
    """A line for each mass replacement, and what went wrong."""
    found = replacement_pages.list_all(now)
    if not found:
        click.echo("no mass replacement yet")
        return
    head = ["CA", "STATE", "BEGUN", "REPLACED", "TROUBLE", "LAST ONE DUE"]
    click.echo(table.render([head, *(_row(one) for one in found)]))
    for one in found:
        for trouble in one.troubles:
            click.echo(f"{trouble.title}: {trouble.error_code or trouble.state.value}")


def steer(ca: str, event: str, now: datetime) -> None:
    """Pause, resume or cancel."""
    row = replacing.steer(replacing.get_under_way(ca).id, ReplacementEvent(event), "cli", now)
    click.echo(f"{ca}: {row.state.value}, {row.started} of {row.total} begun")


def _row(one: Progress) -> list[str]:
    ends = f"{one.ends_at:%Y-%m-%d %H:%M}" if one.ends_at else "-"
    begun = f"{one.started}/{one.row.total}"
    trouble = str(one.trouble_count + one.skipped)
    return [one.row.ca_account.name, one.row.state.value, begun, str(one.replaced), trouble, ends]

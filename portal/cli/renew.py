"""`portal renew`: renewing now. One certificate, a leaked key, or everything that a CA issued before a day."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click

from portal.cli import mass_renewal
from portal.cli.context import with_portal
from portal.clock import utc_now
from portal.services import renewing_one

#: Exit codes beside 0 (begun, or under way already), 1 (refused) and 2 (asked for in a wrong way).
NOT_DUE_YET = 3

_STEERING = ("status", "pause", "resume", "cancel")


@click.command()
@click.option("--certificate", "certificate_id", metavar="ID", help="Renew this one; also by serial or name.")
@click.option("--force", is_flag=True, help="Though it is not due yet.")
@click.option("--key-compromised", is_flag=True, help="Its key leaked: replace it, then have it revoked.")
@click.option("--ca", metavar="NAME", help="Renew everything that this CA account issued.")
@click.option(
    "--issued-before", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="UTC; default now."
)
@click.option("--per-hour", type=click.IntRange(1), help="So many certificates an hour.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--status", is_flag=True, help="How mass replacements stand.")
@click.option("--pause", is_flag=True, help="Pause the one of --ca.")
@click.option("--resume", is_flag=True, help="Go on with the one of --ca.")
@click.option("--cancel", is_flag=True, help="Begin no more of the one of --ca.")
@with_portal
def renew(
    certificate_id: str | None, ca: str | None, issued_before: datetime | None, per_hour: int | None,
    reason: str, yes: bool, force: bool, key_compromised: bool, **flags: bool,
) -> None:  # fmt: skip
    """Renew now, whatever the calendar says. CA limits and pauses still hold.

    Exit code 3: the certificate is not due yet (give --force and --reason).
    """
    now = utc_now()
    wanted = [name for name in _STEERING if flags[name]]
    if wanted:
        _steer(wanted, ca, now)
    elif certificate_id:
        _renew_one(certificate_id, reason, now, is_forced=force, is_leaked=key_compromised)
    elif ca and per_hour:
        before = issued_before.replace(tzinfo=UTC) if issued_before else now
        mass_renewal.begin(ca, before, per_hour, _needed(reason), now, is_agreed=yes)
    else:
        raise click.UsageError("give --certificate ID, or --ca NAME with --per-hour N, or --status")


def _steer(wanted: list[str], ca: str | None, now: datetime) -> None:
    if len(wanted) > 1:
        raise click.UsageError(f"--{wanted[0]} and --{wanted[1]} do not go together")
    if wanted == ["status"]:
        mass_renewal.show(now)
    elif ca is None:
        raise click.UsageError(f"--{wanted[0]} needs --ca NAME")
    else:
        mass_renewal.steer(ca, wanted[0], now)


def _renew_one(certificate_id: str, reason: str, now: datetime, *, is_forced: bool, is_leaked: bool) -> None:
    if is_leaked:
        answer = renewing_one.replace_compromised(certificate_id, reason, "cli", now)
    else:
        note = _needed(reason) if is_forced else reason
        answer = renewing_one.renew(certificate_id, note, "cli", now, is_forced=is_forced)
    click.echo(_in_words(answer))
    if answer.due_at is not None:
        sys.exit(NOT_DUE_YET)


def _in_words(answer: renewing_one.Answer) -> str:
    name, renewal = answer.certificate.name, answer.renewal
    if answer.due_at is not None:
        return f"{name}: not due before {answer.due_at:%Y-%m-%d %H:%M} UTC; give --force to renew it now"
    if not answer.was_started:
        return f"{name}: a renewal is under way already ({renewal.state.value}), renewal {renewal.id}"
    said = f"{name}: renewal {renewal.id} is due now"
    if answer.is_revoked_after:
        return said + "; once it is live, the old certificate is revoked"
    return said


def _needed(reason: Any) -> str:
    if not reason.strip():
        raise click.UsageError("give --reason TEXT: it is kept in the audit trail")
    return str(reason.strip())

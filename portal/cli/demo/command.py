"""The command itself: what it needs is brought up, the story is played, and everything goes on being served."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click
from flask import Flask
from flask_babel import Babel

from portal import logs
from portal.cli.demo import elsewhere
from portal.cli.demo.elsewhere import Bought
from portal.cli.demo.report import Report
from portal.cli.demo.stage import Stage
from portal.cli.demo.story import TROUBLES
from portal.cli.demo.watching import WaitedTooLong
from portal.cli.up import DEFAULT_PORT, end_by_sigterm_too, wait_for_end
from portal.clock import utc_now
from portal.domain.errors import DomainError
from portal.embedded import programs
from portal.embedded.installation import InstallationError
from portal.web.messages import message_of

FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--exit", "ends", is_flag=True, help="End after the story; exit code 0 only if the served serial changed."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print what happened as one JSON object on the last line."
)
@click.option(
    "--certificate", type=FILE, help="Host this certificate (PEM, with its chain) instead of a made one."
)
@click.option("--key", type=FILE, help="Its private key (PEM, RSA or EC, not encrypted).")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port of the portal; by default {DEFAULT_PORT} or a free one.",
)
def demo(ends: bool, as_json: bool, certificate: Path | None, key: Path | None, port: int | None) -> None:
    """Play the whole story on this machine: a certificate is hosted, paid for, renewed, redeployed and seen live."""
    logs.configure(as_json=False, level=logging.ERROR)
    end_by_sigterm_too()
    given = _given(certificate, key)
    if port is not None and programs.free_port("127.0.0.1", port) != port:
        raise click.ClickException(f"port {port} is taken; leave --port out to have a free one chosen")
    report = Report(say=_say)
    try:
        with Stage(given, port or DEFAULT_PORT, _say) as stage:
            _play(stage, report)
            click.echo(f"\n{report.as_table()}\n\n{stage.addresses()}", err=as_json)
            if not ends:
                _serve(report, as_json)
    except (InstallationError, WaitedTooLong, OSError) as error:
        raise click.ClickException(str(error)) from None
    if ends and as_json:
        click.echo(report.as_json())
    sys.exit(0 if report.ok else 1)


def _play(stage: Stage, report: Report) -> None:
    _say("the story:")
    try:
        stage.story(report).play()
    except TROUBLES:
        # The report holds the step and its reason; the table shows both.
        report.has_failed = True
    except DomainError as error:
        raise click.ClickException(_words(error)) from None


def _serve(report: Report, as_json: bool) -> None:
    if as_json:
        click.echo(report.as_json())
    click.echo("Serving until Ctrl-C.", err=as_json)
    wait_for_end()


def _given(certificate: Path | None, key: Path | None) -> Bought | None:
    """The certificate named on the command line; what is wrong with it is one line and exit code 2."""
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key go together")
    if certificate is None or key is None:
        return None
    try:
        return elsewhere.read(certificate, key, utc_now())
    except DomainError as error:
        problem = _words(error)
    except OSError as error:
        problem = f"cannot read {error.filename}: {error.strerror}"
    click.echo(f"portal demo: {problem}", err=True)
    sys.exit(2)


def _words(error: DomainError) -> str:
    """The refusal as the portal would say it in English."""
    app = Flask("portal")
    Babel(app, default_locale="en")
    with app.app_context():
        return message_of(error)


def _say(line: str) -> None:
    """Progress goes to the terminal as it happens, beside the output."""
    click.echo(line, err=True)

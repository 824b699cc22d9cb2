"""`portal renew` as a command: one certificate, a leaked key, everything of a CA."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from portal.cli import context
from portal.cli.renew import NOT_DUE_YET, renew
from portal.domain.due import DueReason
from portal.domain.replacement import ReplacementState
from portal.models.authority import MassReplacement, Revocation
from portal.models.certificate import Source
from portal.models.hosting import Renewal
from portal.services import replacing
from portal.services.driving import drive

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def this_installation(core_app, settings, monkeypatch):
    monkeypatch.setattr(context, "from_env", lambda: settings)


@pytest.fixture
def account(factory):
    return factory.ca_account("troubled")


@pytest.fixture
def certificate(factory, cast, account, now):
    factory.now = now - timedelta(hours=1)
    made = factory.certificate(
        cast.organisation, source=Source.ISSUED, ca_account=account, expires_in=timedelta(days=150)
    )
    factory.renewal(factory.hosting(made, factory.product(ca_account=account)))
    return made


def run(*arguments, answer=None):
    done = CliRunner().invoke(renew, arguments, input=answer)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def reason(session) -> DueReason:
    session.expire_all()
    return session.scalars(select(Renewal)).one().due_reason


def test_one_that_is_not_due_says_when_and_ends_with_3(certificate, session):
    done = run("--certificate", certificate.id)
    assert done.exit_code == NOT_DUE_YET
    assert "not due before" in done.output
    assert reason(session) is DueReason.LIFETIME


def test_forced_it_needs_a_reason(certificate, session):
    assert run("--certificate", certificate.id, "--force").exit_code == 2
    done = run("--certificate", certificate.id, "--force", "--reason", "asked by phone")
    assert (done.exit_code, reason(session)) == (0, DueReason.FORCED)
    assert "is due now" in done.output


def test_a_leaked_key_is_replaced_and_then_revoked(certificate, session):
    done = run("--key-compromised", "--certificate", certificate.id, "--reason", "found in a repository")
    assert done.exit_code == 0
    assert "the old certificate is revoked" in done.output
    assert reason(session) is DueReason.KEY_COMPROMISE
    assert session.scalars(select(Revocation)).one().certificate_id == certificate.id


def test_a_whole_ca_is_counted_asked_about_and_begun(factory, cast, certificate, account, session, now):
    factory.certificate(
        cast.organisation, names=["alone.example.com"], source=Source.ISSUED, ca_account=account
    )
    command = ("--ca", "troubled", "--issued-before", f"{now:%Y-%m-%dT%H:%M}", "--per-hour", "60")
    assert run(*command).exit_code == 2
    command += ("--reason", "the CA must revoke within 24 hours")
    done = run(*command, answer="n\n")
    assert done.exit_code == 1
    assert "1 hosted certificates of troubled" in done.output
    assert "alone.example.com" in done.output
    assert session.scalars(select(MassReplacement)).all() == []
    assert run(*command, "--yes").exit_code == 0
    row = session.scalars(select(MassReplacement)).one()
    assert (row.total, row.per_hour, row.requested_by) == (1, 60, "cli")
    assert "under way already" in run(*command, "--yes").output


def test_how_it_stands_and_steering_it(certificate, session, now):
    assert "no mass replacement" in run("--status").output
    run("--ca", "troubled", "--per-hour", "60", "--reason", "why", "--yes")
    row = session.scalars(select(MassReplacement)).one()
    drive(replacing.KIND, row.id, lambda: now + timedelta(minutes=1))
    status = run("--status").output
    assert "troubled" in status
    assert "1/1" in status
    assert "paused, 1 of 1 begun" in run("--ca", "troubled", "--pause").output
    assert "running" in run("--ca", "troubled", "--resume").output
    assert run("--ca", "troubled", "--cancel").exit_code == 0
    session.expire_all()
    assert row.state is ReplacementState.CANCELLED
    done = run("--ca", "troubled", "--pause")
    assert done.exit_code == 1
    assert "no_replacement_running" in done.output


@pytest.mark.parametrize(
    "arguments",
    [(), ("--ca", "troubled"), ("--pause",), ("--pause", "--resume", "--ca", "x"), ("--per-hour", "0")],
)
def test_what_does_not_say_what_to_do_is_refused(arguments):
    assert run(*arguments).exit_code == 2


def test_what_is_unknown_is_refused_in_words(certificate):
    done = run("--certificate", "nothing", "--force", "--reason", "why")
    assert done.exit_code == 1
    assert "no such certificate" in done.output
    assert "no CA account" in run("--ca", "nobody", "--per-hour", "5", "--reason", "why").output

"""`portal create-operator`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.cli import context
from portal.cli.operator import create_operator
from portal.models.account import User
from portal.services import passwords
from portal.settings import Settings
from tests.factories import PASSWORD

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def this_installation(core_app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "from_env", lambda: settings)


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(create_operator, ["op@example.com", *arguments], input=typed)


def password_fits(session: scoped_session[Session], password: str) -> bool:
    user = session.scalar(select(User).where(User.email == "op@example.com", User.is_operator))
    return user is not None and passwords.is_right(user.password_hash, password)


def test_the_password_is_asked_for_twice_and_not_shown(session: scoped_session[Session]) -> None:
    done = run(typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert PASSWORD not in done.output
    assert password_fits(session, PASSWORD)


def test_the_password_comes_from_a_file(session: scoped_session[Session], tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n", "utf-8")
    assert run("--password-file", str(file)).exit_code == 0
    assert password_fits(session, PASSWORD)


def test_a_made_password_is_shown_once(session: scoped_session[Session]) -> None:
    done = run("--generate")
    shown = re.search(r"Password \(shown this once\): (\S+)", done.output)
    assert shown
    assert password_fits(session, shown.group(1))


@pytest.mark.parametrize("password", ["short", "1234567890"])
def test_a_weak_password_ends_it_with_one_line(session: scoped_session[Session], password: str) -> None:
    done = run(typed=f"{password}\n{password}\n")
    assert done.exit_code == 1
    assert "password_" in done.output
    assert session.scalar(select(User)) is None


def test_file_and_made_password_do_not_go_together(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD, "utf-8")
    assert run("--generate", "--password-file", str(file)).exit_code == 2

"""Who is asking, and whether they may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from portal.app import create_app
from portal.extensions import db
from portal.models.account import LoginSession, Role
from portal.services import sessions
from portal.web import security
from tests.clients import PortalClient
from tests.databases import open_app

pytestmark = pytest.mark.databases("sqlite")


def add_pages(app: Flask) -> None:
    """One page behind each door."""
    doors = {
        "member": security.member_required,
        "manager": security.role_required(Role.MANAGER),
        "owner": security.role_required(Role.OWNER),
        "operator": security.operator_required,
    }
    for name, door in doors.items():
        app.add_url_rule(f"/door/{name}", name, door(lambda: "inside"))


@pytest.fixture
def app(database, settings):
    made = create_app(settings)
    made.testing = True
    made.test_client_class = PortalClient
    add_pages(made)
    with open_app(made):
        yield made


@pytest.mark.parametrize(
    ("who", "member", "manager", "owner", "operator"),
    [
        ("alice", 200, 200, 200, 404),
        ("bob", 200, 403, 403, 404),
        ("charlie", 200, 200, 200, 404),
        ("olga", 404, 404, 404, 200),
        (None, 303, 303, 303, 303),
    ],
)
def test_each_door_lets_in_whom_it_should(client, cast, who, member, manager, owner, operator):
    if who:
        client.log_in(getattr(cast, who))
    found = [client.get(f"/door/{name}").status_code for name in ("member", "manager", "owner", "operator")]
    assert found == [member, manager, owner, operator]


def test_an_expired_log_in_is_over(client, cast, session, now):
    client.log_in(cast.alice)
    session.execute(update(LoginSession).values(expires_at=now - timedelta(seconds=1)))
    session.commit()
    assert client.get("/door/member").status_code == 303


def test_a_made_up_cookie_is_nobody(client, cast):
    client.log_in(cast.alice)
    with client.session_transaction() as cookie:
        cookie["_user_id"] = cast.alice.id
    assert client.get("/door/member").status_code == 303


def test_a_log_in_notes_that_it_is_used_but_seldom(client, cast, session, now):
    client.log_in(cast.alice)
    row = session.scalar(select(LoginSession))
    session.execute(update(LoginSession).values(last_seen_at=now - sessions.SEEN_EVERY))
    session.commit()
    client.get("/door/member")
    session.refresh(row)
    assert row.last_seen_at > now - timedelta(minutes=1)


def test_knowing_the_visitor_costs_two_queries(client, cast):
    client.log_in(cast.alice)
    statements: list[str] = []
    listen = lambda _c, _k, statement, *_rest: statements.append(statement)  # noqa: E731
    event.listen(db.engine, "before_cursor_execute", listen)
    try:
        assert client.get("/door/member").status_code == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", listen)
    assert len(statements) == 2


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/account", True),
        ("/a?next=//b", True),
        (None, False),
        ("", False),
        ("account", False),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("/a\\b", False),
        ("https://evil.example", False),
        ("/\t/evil.example", False),
        ("/\n/evil.example", False),
    ],
)
def test_only_local_paths_are_followed(target, kept):
    assert security.safe_next(target, "/home") == (target if kept else "/home")

"""Logging in and out, and a forgotten password."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from portal.domain.notices import NoticeKind
from portal.models.account import LoginSession
from portal.models.history import AuditEntry
from portal.services import tokens
from tests.factories import PASSWORD

pytestmark = pytest.mark.databases("sqlite")

ANOTHER = "eine kleine Nachtmusik"


def test_logging_in_opens_a_session_of_which_only_a_hash_is_kept(client, cast, session):
    response = client.log_in(cast.alice)
    assert response.status_code == 303
    row = session.scalar(select(LoginSession))
    assert row.user_id == cast.alice.id
    with client.session_transaction() as cookie:
        assert cookie["_user_id"] != row.token_sha256
        assert len(row.token_sha256) == 64


def test_an_address_is_the_same_in_capitals(client, cast):
    response = client.post("/login", data={"email": " ALICE@Example.com", "password": PASSWORD})
    assert response.status_code == 303


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com", "' OR 1=1 --"])
def test_wrong_and_unknown_are_refused_in_the_same_words(client, cast, email):
    response = client.post("/login", data={"email": email, "password": "wrong"})
    assert response.status_code == 422
    assert "邮箱或密码不正确" in response.text or "Address or password is not right" in response.text


def test_a_log_in_without_the_csrf_token_is_refused(client, cast, session):
    form = {"email": cast.alice.email, "password": PASSWORD}
    assert client.post("/login", data=form, csrf=False).status_code == 400
    assert session.scalar(select(LoginSession)) is None


def test_an_unconfirmed_address_is_sent_the_link_again(client, factory, posted):
    new = factory.user("new", is_confirmed=False)
    assert client.log_in(new).status_code == 422
    assert [one.recipient for one in posted(NoticeKind.CONFIRM_EMAIL)] == ["new@example.com"]


def test_after_logging_in_one_comes_back_to_where_one_was_going(client, cast):
    asked = client.get("/account/team")
    assert asked.status_code == 303
    assert asked.location == "/login?next=/account/team"
    form = {"email": cast.alice.email, "password": PASSWORD, "next": "/account/team"}
    assert client.post("/login", data=form).location == "/account/team"


@pytest.mark.parametrize(
    "away", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"]
)
def test_next_leads_nowhere_else(client, cast, away):
    form = {"email": cast.alice.email, "password": PASSWORD, "next": away}
    assert client.post("/login", data=form).location == "/"


def test_many_wrong_tries_for_one_account_are_stopped_even_with_the_right_password(client, cast):
    for _ in range(15):
        assert client.log_in(cast.alice, "wrong").status_code == 422
    assert client.log_in(cast.alice).status_code == 429
    assert client.log_in(cast.bob).status_code == 303


def test_logging_in_often_and_rightly_is_not_limited(app, cast):
    for _ in range(17):
        assert app.test_client().log_in(cast.alice).status_code == 303


def test_logging_in_starts_a_fresh_session_cookie(client, cast):
    client.get("/login")
    with client.session_transaction() as cookie:
        cookie["planted"] = "by somebody else"
    client.log_in(cast.alice)
    with client.session_transaction() as cookie:
        assert "planted" not in cookie


def test_a_cookie_kept_from_before_logging_out_is_worth_nothing(client, cast):
    client.log_in(cast.alice)
    kept = client.get_cookie("session").value
    assert client.post("/logout").status_code == 303
    client.set_cookie("session", kept)
    assert client.get("/account/team").status_code == 303


def test_a_forgotten_password_looks_the_same_for_nobody(client, cast, posted):
    known = client.post("/reset", data={"email": cast.alice.email})
    unknown = client.post("/reset", data={"email": "nobody@example.com"})
    assert known.status_code == unknown.status_code == 200
    answers = [re.search(r"<main.*</main>", one.text, re.DOTALL).group() for one in (known, unknown)]
    assert answers[0].replace("alice", "nobody") == answers[1]
    assert [one.recipient for one in posted(NoticeKind.RESET_PASSWORD)] == [cast.alice.email]


def test_a_reset_link_works_once_and_ends_every_log_in(client, app, cast):
    elsewhere = app.test_client()
    elsewhere.log_in(cast.alice)
    link = f"/reset/{tokens.reset_token(cast.alice)}"
    assert client.get(link).status_code == 200
    assert client.post(link, data={"password": ANOTHER}).status_code == 303
    assert client.post(link, data={"password": "yet another one"}).status_code == 422
    assert elsewhere.get("/account/team").status_code == 303
    assert client.log_in(cast.alice).status_code == 422
    assert client.log_in(cast.alice, ANOTHER).status_code == 303


def test_a_reset_link_of_before_a_change_of_password_is_dead(client, cast):
    link = f"/reset/{tokens.reset_token(cast.alice)}"
    client.log_in(cast.alice)
    client.post("/account/security", data={"current": PASSWORD, "password": ANOTHER})
    assert client.get(link).status_code == 422


@pytest.mark.parametrize("password", ["short", "1234567890", "aaaaaaaaaaaa", "alice@example.com"])
def test_a_weak_new_password_is_refused_beside_the_field(client, cast, password):
    response = client.post(f"/reset/{tokens.reset_token(cast.alice)}", data={"password": password})
    assert response.status_code == 422
    assert 'id="password-error"' in response.text


def test_a_made_up_link_says_so(client, cast):
    for path in ("/reset/x.y.z", "/confirm/x.y.z", "/invitations/x.y.z"):
        assert client.get(path).status_code == 422


def test_failed_log_ins_are_audited(client, cast, session):
    client.log_in(cast.alice, "wrong")
    client.log_in(cast.alice)
    actions = set(session.scalars(select(AuditEntry.action).where(AuditEntry.actor == cast.alice.id)))
    assert actions == {"session.refuse", "session.start"}

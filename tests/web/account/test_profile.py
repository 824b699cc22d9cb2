"""One's own settings."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.models.account import LoginSession
from tests.factories import PASSWORD

pytestmark = pytest.mark.databases("sqlite")

ANOTHER = "eine kleine Nachtmusik"


def test_language_and_zone_hold_from_the_next_page_on(client, cast):
    client.log_in(cast.alice)
    form = {"locale": "en", "timezone": "America/New_York"}
    assert client.post("/account/profile", data=form).status_code == 303
    assert '<html lang="en"' in client.get("/account/profile").text


def test_an_unknown_zone_is_refused(client, cast):
    client.log_in(cast.alice)
    form = {"locale": "en", "timezone": "Mars/Olympus_Mons"}
    assert client.post("/account/profile", data=form).status_code == 422


def test_changing_the_password_ends_every_other_log_in(client, app, cast):
    elsewhere = app.test_client()
    elsewhere.log_in(cast.alice)
    client.log_in(cast.alice)
    form = {"current": PASSWORD, "password": ANOTHER}
    assert client.post("/account/security", data=form).status_code == 303
    assert client.get("/account/security").status_code == 200
    assert elsewhere.get("/account/security").status_code == 303


def test_changing_the_password_needs_the_present_one(client, cast):
    client.log_in(cast.alice)
    response = client.post("/account/security", data={"current": "wrong", "password": ANOTHER})
    assert response.status_code == 422
    assert 'id="current-error"' in response.text


def test_a_log_in_elsewhere_is_seen_and_ended(client, app, cast, session):
    elsewhere = app.test_client()
    elsewhere.log_in(cast.alice)
    row = session.scalar(select(LoginSession))
    client.log_in(cast.alice)
    path = f"/account/sessions/{row.id}/revoke"
    assert path in client.get("/account/security").text
    assert client.post(path).status_code == 303
    assert elsewhere.get("/account/security").status_code == 303
    assert client.get("/account/security").status_code == 200


def test_a_log_in_of_somebody_else_cannot_be_ended(client, app, cast, session):
    app.test_client().log_in(cast.alice)
    row = session.scalar(select(LoginSession))
    for other in (cast.bob, cast.charlie, cast.olga):
        someone = app.test_client()
        someone.log_in(other)
        assert someone.post(f"/account/sessions/{row.id}/revoke").status_code == 404
    assert client.post(f"/account/sessions/{row.id}/revoke").location == "/login"


def test_everybody_has_a_profile(app, cast):
    for person in (cast.alice, cast.bob, cast.charlie, cast.olga):
        client = app.test_client()
        client.log_in(person)
        for path in ("/account/profile", "/account/security"):
            page = client.get(path)
            assert page.status_code == 200
            assert person.email in page.text

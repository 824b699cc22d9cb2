"""The organisation and who is in it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.domain.notices import NoticeKind
from portal.models.account import Membership, Role
from portal.services import invitations

pytestmark = pytest.mark.databases("sqlite")


def membership_of(session, user):
    return session.scalar(select(Membership).where(Membership.user_id == user.id))


@pytest.fixture
def changes(session, cast, now):
    """Every change of the team of Alice's organisation, as (path, form)."""
    open_one = invitations.invite(
        session, cast.organisation.id, "open@example.com", Role.VIEWER, cast.alice, now, "127.0.0.1"
    )
    bob = membership_of(session, cast.bob).id
    return [
        ("/account/team/invite", {"email": "eve@example.com", "role": "viewer"}),
        (f"/account/team/invitations/{open_one.id}/withdraw", {}),
        (f"/account/team/members/{bob}/role", {"role": "manager"}),
        ("/account/team/rename", {"name": "Renamed"}),
        (f"/account/team/members/{bob}/remove", {}),
    ]


def test_the_owner_makes_every_change(client, cast, changes, session, posted):
    client.log_in(cast.alice)
    for path, form in changes:
        assert client.post(path, data=form).status_code == 303, path
    assert "eve@example.com" in {one.recipient for one in posted(NoticeKind.INVITATION)}
    page = client.get("/account/team").text
    assert "Renamed" in page
    assert "bob@example.com" not in page
    assert "open@example.com" not in page


def test_a_viewer_sees_the_team_and_changes_nothing(client, cast, changes):
    client.log_in(cast.bob)
    page = client.get("/account/team")
    assert page.status_code == 200
    assert "alice@example.com" in page.text
    assert "/invite" not in page.text
    assert {client.post(path, data=form).status_code for path, form in changes} == {403}


def test_a_manager_does_not_decide_who_is_in(client, cast, changes, factory):
    client.log_in(factory.member(cast.organisation, Role.MANAGER))
    assert {client.post(path, data=form).status_code for path, form in changes} == {403}


def test_a_stranger_finds_nothing(client, cast, changes):
    client.log_in(cast.charlie)
    foreign = [(path, form) for path, form in changes if path.count("/") > 3]
    assert {client.post(path, data=form).status_code for path, form in foreign} == {404}
    assert "alice@example.com" not in client.get("/account/team").text


def test_an_operator_is_in_no_team(client, cast, changes):
    client.log_in(cast.olga)
    assert client.get("/account/team").status_code == 404
    assert {client.post(path, data=form).status_code for path, form in changes} == {404}
    assert client.get("/account/organisations/new").status_code == 404


def test_nobody_is_asked_to_log_in(client, cast, changes):
    for path in ("/account/team", "/account/organisations/new", "/account/profile", "/account/security"):
        assert client.get(path).location == f"/login?next={path}"
    for path, form in changes:
        assert client.post(path, data=form).location == "/login"


def test_every_change_needs_the_csrf_token(client, cast, changes):
    client.log_in(cast.alice)
    assert {client.post(path, data=form, csrf=False).status_code for path, form in changes} == {400}


@pytest.mark.parametrize("act", ["role", "remove"])
def test_the_last_owner_stays(client, cast, session, act):
    client.log_in(cast.alice)
    own = membership_of(session, cast.alice)
    response = client.post(f"/account/team/members/{own.id}/{act}", data={"role": "viewer"})
    assert response.status_code == 422
    assert membership_of(session, cast.alice).role is Role.OWNER


def test_inviting_a_member_is_refused_beside_the_field(client, cast):
    client.log_in(cast.alice)
    response = client.post("/account/team/invite", data={"email": cast.bob.email, "role": "viewer"})
    assert response.status_code == 422
    assert 'id="email-error"' in response.text


def test_an_unknown_role_is_refused(client, cast, session):
    client.log_in(cast.alice)
    bob = membership_of(session, cast.bob)
    assert client.post(f"/account/team/members/{bob.id}/role", data={"role": "king"}).status_code == 422


def test_a_removed_member_is_out_at_once(client, app, cast, session):
    bobs = app.test_client()
    bobs.log_in(cast.bob)
    client.log_in(cast.alice)
    client.post(f"/account/team/members/{membership_of(session, cast.bob).id}/remove")
    assert bobs.get("/account/team").status_code == 404
    assert bobs.get("/account/profile").status_code == 200


def test_a_new_organisation_is_worked_in_at_once_and_one_can_go_back(client, cast):
    client.log_in(cast.bob)
    assert client.post("/account/organisations/new", data={"name": "Bob and sons"}).status_code == 303
    assert "Bob and sons" in client.get("/account/team").text
    client.post("/organisations/switch", data={"organisation_id": cast.organisation.id})
    assert "alice@example.com" in client.get("/account/team").text
    foreign = {"organisation_id": cast.other_organisation.id}
    assert client.post("/organisations/switch", data=foreign).status_code == 404

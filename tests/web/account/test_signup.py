"""Coming in: sign-up, confirmation, invitations, the first-run set-up."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from portal.domain.notices import NoticeKind
from portal.models.account import Membership, Role, User
from portal.services import accounts, invitations, operators, tokens
from tests.factories import PASSWORD

pytestmark = pytest.mark.databases("sqlite")

FORM = {"organisation": "青松", "email": "New@Example.com", "password": PASSWORD}


@pytest.fixture
def invitation(session, cast, now):
    return invitations.invite(
        session, cast.organisation.id, "dora@example.com", Role.MANAGER, cast.alice, now, "127.0.0.1"
    )


def test_a_customer_signs_up_confirms_and_logs_in(client, session, posted):
    assert client.post("/signup", data=FORM).status_code == 200
    user = accounts.find_user(session, "new@example.com")
    assert user.email_confirmed_at is None
    assert client.log_in(user).status_code == 422
    assert [one.subject_id for one in posted(NoticeKind.CONFIRM_EMAIL)] == [user.id] * len(
        posted(NoticeKind.CONFIRM_EMAIL)
    )
    link = f"/confirm/{tokens.confirmation_token(user)}"
    assert client.get(link).status_code == 200
    assert client.log_in(user).status_code == 422, "opening the link alone confirms nothing"
    assert client.post(link).status_code == 303
    assert client.log_in(user).status_code == 303
    assert session.scalar(select(Membership.role).where(Membership.user_id == user.id)) is Role.OWNER


def test_signing_up_with_a_taken_address_looks_the_same_and_tells_its_holder(client, cast, session, posted):
    response = client.post("/signup", data=FORM | {"email": cast.alice.email})
    assert response.status_code == 200
    assert session.scalar(select(func.count()).where(User.email == cast.alice.email)) == 1
    assert [one.recipient for one in posted(NoticeKind.RESET_PASSWORD)] == [cast.alice.email]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "not an address"),
        ("email", "a@b"),
        ("email", "two@example.com, three@example.com"),
        ("password", "short"),
        ("organisation", "  "),
    ],
)
def test_a_bad_form_comes_back_with_the_reason_beside_the_field(client, session, field, value):
    response = client.post("/signup", data=FORM | {field: value})
    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text
    assert session.scalar(select(func.count(User.id))) == 0


def test_signing_up_is_limited_by_address(client):
    statuses = [
        client.post("/signup", data=FORM | {"email": f"new{one}@example.com"}).status_code
        for one in range(21)
    ]
    assert statuses == [200] * 20 + [429]


def test_a_new_person_joins_by_invitation_without_an_organisation_of_their_own(client, session, invitation):
    link = f"/invitations/{tokens.invitation_token(invitation)}"
    assert "dora@example.com" in client.get(link).text
    assert client.post(link, data={"password": PASSWORD}).status_code == 303
    assert client.get("/account/team").status_code == 200
    dora = accounts.find_user(session, "dora@example.com")
    assert [one.role for one in dora.memberships] == [Role.MANAGER]
    assert client.get(link).status_code == 422


def test_somebody_with_an_account_logs_in_and_joins(client, session, factory, invitation):
    dora = factory.user("dora")
    link = f"/invitations/{tokens.invitation_token(invitation)}"
    assert "/login?next=" in client.get(link).text
    assert client.post(link, data={"password": "a password for dora"}).status_code == 422
    client.log_in(dora)
    assert client.post(link).status_code == 303
    assert client.get("/account/team").status_code == 200


def test_an_invitation_is_for_its_address_alone(client, cast, session, invitation):
    client.log_in(cast.charlie)
    link = f"/invitations/{tokens.invitation_token(invitation)}"
    assert client.get(link).status_code == 200
    assert client.post(link).status_code == 422
    assert not [one for one in cast.charlie.memberships if one.organisation_id == cast.organisation.id]


def test_a_withdrawn_invitation_is_closed(client, cast, session, invitation, now):
    invitations.withdraw(session, cast.organisation.id, invitation.id, cast.alice.id, now, "127.0.0.1")
    assert client.get(f"/invitations/{tokens.invitation_token(invitation)}").status_code == 422


def test_the_set_up_page_makes_the_first_operator_and_closes(client, app, session, settings):
    form = {"email": "op@example.com", "password": PASSWORD}
    assert client.get("/setup").status_code == 200
    assert operators.set_up_file().stat().st_mode & 0o777 == 0o600
    assert client.post("/setup", data=form | {"code": "guessed"}).status_code == 422
    assert not operators.has_operator(session)
    code = operators.set_up_code()
    assert client.post("/setup", data=form | {"code": code}).status_code == 303
    assert not operators.set_up_file().exists()
    assert client.get("/setup").status_code == 404
    assert client.post("/setup", data=form | {"code": code, "email": "two@example.com"}).status_code == 404
    assert client.log_in(accounts.find_user(session, "op@example.com")).status_code == 303


def test_guessing_the_set_up_code_is_limited(client):
    form = {"email": "op@example.com", "password": PASSWORD, "code": "guessed"}
    statuses = {client.post("/setup", data=form).status_code for _ in range(16)}
    assert statuses == {422, 429}

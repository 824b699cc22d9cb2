"""Inviting people, and their coming in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.errors import DomainError
from portal.models.account import Role
from portal.models.notice import Notice
from portal.services import invitations, tokens

IP = "203.0.113.7"


@pytest.fixture
def invite(session, cast, now):
    def make(email="dora@example.com", role=Role.MANAGER):
        return invitations.invite(session, cast.organisation.id, email, role, cast.alice, now, IP)

    return make


def code_of(act, *args, **options):
    with pytest.raises(DomainError) as refusal:
        act(*args, **options)
    return refusal.value.code


def test_the_mail_names_organisation_and_inviter_and_holds_no_token(session, invite):
    invite()
    notice = session.scalar(select(Notice))
    assert notice.recipient == "dora@example.com"
    assert notice.params == {"organisation": "Acme", "inviter": "alice@example.com"}


def test_inviting_again_replaces_the_open_invitation(session, cast, invite, now):
    first, second = invite(), invite(role=Role.VIEWER)
    still_open = invitations.open_invitations(session, cast.organisation.id, now)
    assert [one.id for one in still_open] == [second.id]
    assert code_of(invitations.read, session, tokens.invitation_token(first), now) == "invitation_closed"


def test_an_invitation_is_accepted_once(session, factory, invite, now):
    token, dora = tokens.invitation_token(invite()), factory.user("dora")
    invitations.accept(session, token, dora, now, IP)
    assert [one.role for one in dora.memberships] == [Role.MANAGER]
    assert code_of(invitations.accept, session, token, dora, now, IP) == "invitation_closed"


def test_an_invitation_past_its_time_is_closed(session, factory, invite, now):
    token, dora = tokens.invitation_token(invite()), factory.user("dora")
    late = now + invitations.OPEN_FOR + timedelta(seconds=1)
    assert code_of(invitations.accept, session, token, dora, late, IP) == "invitation_closed"


def test_members_and_strangers_are_refused(session, cast, invite, now):
    assert code_of(invite, cast.bob.email) == "already_member"
    token = tokens.invitation_token(invite())
    assert code_of(invitations.accept, session, token, cast.charlie, now, IP) == "invitation_for_another"


def test_only_ones_own_open_invitations_are_withdrawn(session, cast, invite, now):
    made = invite()
    assert (
        code_of(invitations.withdraw, session, cast.other_organisation.id, made.id, cast.charlie.id, now, IP)
        == "not_found"
    )
    invitations.withdraw(session, cast.organisation.id, made.id, cast.alice.id, now, IP)
    assert invitations.open_invitations(session, cast.organisation.id, now) == []

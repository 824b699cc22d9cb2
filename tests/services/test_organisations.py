"""Who is in an organisation."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.account import Membership, Role
from portal.services import organisations

IP = "203.0.113.7"


def membership_of(session, user):
    return session.scalar(select(Membership).where(Membership.user_id == user.id))


def test_an_owner_may_go_once_there_is_another(session, cast, now):
    own, bobs = membership_of(session, cast.alice), membership_of(session, cast.bob)
    where = cast.organisation.id
    with pytest.raises(DomainError) as refusal:
        organisations.remove(session, where, own.id, cast.alice.id, now, IP)
    assert refusal.value.code == "last_owner"
    organisations.change_role(session, where, bobs.id, Role.OWNER, cast.alice.id, now, IP)
    organisations.remove(session, where, own.id, cast.alice.id, now, IP)
    assert [one.user_id for one in organisations.members(session, where)] == [cast.bob.id]


def test_a_membership_of_another_organisation_is_not_found(session, cast, now):
    foreign = membership_of(session, cast.charlie)
    with pytest.raises(DomainError) as refusal:
        organisations.remove(session, cast.organisation.id, foreign.id, cast.alice.id, now, IP)
    assert refusal.value.code == "not_found"


@pytest.mark.databases("postgresql")
def test_two_owners_who_leave_at_once_leave_one_behind(core_app, session, cast, now):
    organisation_id = cast.organisation.id
    people = {user.id: membership_of(session, user).id for user in (cast.alice, cast.bob)}
    organisations.change_role(
        session, organisation_id, people[cast.bob.id], Role.OWNER, cast.alice.id, now, IP
    )
    start, codes = threading.Barrier(2, timeout=10), []

    def leave(user_id: str, membership_id: str) -> None:
        with core_app.app_context():
            start.wait()
            try:
                organisations.remove(db.session, organisation_id, membership_id, user_id, now, IP)
            except DomainError as error:
                codes.append(error.code)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=leave, args=pair) for pair in people.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert codes == ["last_owner"]
    session.expire_all()
    assert len(organisations.members(session, organisation_id)) == 1

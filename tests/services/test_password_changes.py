"""Getting another password."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.domain.errors import DomainError
from portal.models.notice import Notice
from portal.services import password_changes, passwords, sessions, tokens
from tests.factories import PASSWORD

IP = "203.0.113.7"
ANOTHER = "eine kleine Nachtmusik"


def code_of(act, *args):
    with pytest.raises(DomainError) as refusal:
        act(*args)
    return refusal.value.code


def test_asking_for_nobody_posts_nothing(session, now):
    password_changes.request_reset(session, "nobody@example.com", now, IP)
    assert session.scalar(select(Notice)) is None


def test_asking_often_posts_one_mail_a_minute(session, factory, now):
    user = factory.user()
    for _ in range(3):
        password_changes.request_reset(session, user.email, now, IP)
    assert len(session.scalars(select(Notice)).all()) == 1


def test_a_reset_confirms_the_address_and_ends_the_link(session, factory, now):
    user = factory.user(is_confirmed=False)
    token = tokens.reset_token(user)
    password_changes.reset(session, token, ANOTHER, now, IP)
    assert user.email_confirmed_at == now
    assert passwords.is_right(user.password_hash, ANOTHER)
    assert code_of(password_changes.reset, session, token, PASSWORD, now, IP) == "token_invalid"


def test_a_refused_new_password_changes_nothing(session, factory, now):
    user = factory.user()
    token = tokens.reset_token(user)
    assert code_of(password_changes.reset, session, token, "short", now, IP) == "password_too_short"
    session.rollback()
    assert passwords.is_right(user.password_hash, PASSWORD)
    assert password_changes.read_reset(session, token) is user


def test_a_change_needs_the_present_password_and_keeps_this_log_in(session, factory, now):
    user = factory.user()
    kept, other = (sessions.open_for(session, user, user_agent="Firefox", ip=IP, now=now) for _ in range(2))
    here = sessions.find_live(session, kept, now)
    wrong = code_of(password_changes.change, session, user.id, "wrong", ANOTHER, here.id, now, IP)
    assert wrong == "current_password_wrong"
    password_changes.change(session, user.id, PASSWORD, ANOTHER, here.id, now, IP)
    assert sessions.find_live(session, kept, now)
    assert sessions.find_live(session, other, now) is None

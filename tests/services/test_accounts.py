"""Signing up and logging in, beneath the pages."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from portal.domain.errors import DomainError
from portal.domain.notices import NoticeKind
from portal.models.account import LoginSession, Organisation, User
from portal.models.notice import Notice
from portal.services import accounts
from tests.factories import PASSWORD

SIGN_UP = {
    "email": "New@Example.com",
    "password": PASSWORD,
    "organisation_name": " Acme ",
    "locale": "en",
    "timezone": "Europe/Berlin",
    "ip": "203.0.113.7",
}
FROM = {"user_agent": "Firefox", "ip": "203.0.113.7"}


def test_signing_up_makes_an_owner_of_a_new_organisation(session, now):
    accounts.sign_up(session, now=now, **SIGN_UP)
    user = accounts.find_user(session, " NEW@example.com")
    assert (user.email, user.locale, user.timezone) == ("new@example.com", "en", "Europe/Berlin")
    assert [one.organisation.name for one in user.memberships] == ["Acme"]
    assert user.password_hash.startswith("$argon2id$")


def test_signing_up_twice_makes_one_account_and_one_mail_a_minute(session, now):
    for _ in range(2):
        accounts.sign_up(session, now=now, **SIGN_UP)
    assert session.scalar(select(func.count(User.id))) == 1
    assert session.scalar(select(func.count(Organisation.id))) == 1
    assert session.scalars(select(Notice.kind)).all() == [NoticeKind.CONFIRM_EMAIL]


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_opens_nothing(session, factory, now, password):
    user = factory.user()
    with pytest.raises(DomainError) as refusal:
        accounts.log_in(session, user.email, password, now=now, **FROM)
    assert refusal.value.code == "log_in_refused"
    assert session.scalar(select(LoginSession)) is None


def test_an_unconfirmed_address_is_told_apart_only_by_the_right_password(session, factory, now):
    user = factory.user(is_confirmed=False)
    for password, code in (("wrong", "log_in_refused"), (PASSWORD, "email_unconfirmed")):
        with pytest.raises(DomainError) as refusal:
            accounts.log_in(session, user.email, password, now=now, **FROM)
        assert refusal.value.code == code


def test_a_profile_of_nobody_is_not_found(session):
    with pytest.raises(DomainError) as refusal:
        accounts.update_profile(session, "0" * 32, locale="en", timezone="Europe/Berlin")
    assert refusal.value.code == "not_found"

"""Links in mails."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.domain.errors import DomainError
from portal.services import passwords, tokens

pytestmark = pytest.mark.databases("sqlite")


def refused(purpose: str, token: str, age: int = 3600) -> str:
    with pytest.raises(DomainError) as refusal:
        tokens.read(purpose, token, age)
    return refusal.value.code


def test_a_token_gives_its_ids_back_for_its_purpose_alone(core_app):
    token = tokens.make(tokens.INVITATION, "one", "two")
    assert tokens.read(tokens.INVITATION, token, 3600) == ["one", "two"]
    assert refused(tokens.RESET_PASSWORD, token) == "token_invalid"


def test_a_changed_token_and_an_old_one_are_invalid(core_app):
    token = tokens.make(tokens.INVITATION, "one")
    assert refused(tokens.INVITATION, token[:-1] + ("A" if token[-1] != "A" else "B")) == "token_invalid"
    assert refused(tokens.INVITATION, token, -1) == "token_invalid"


def test_a_reset_token_tells_nothing_of_the_hash_and_changes_with_it(core_app, factory):
    user = factory.user()
    before = tokens.reset_token(user)
    assert user.password_hash not in before
    user.password_hash = passwords.hash_password("another password")
    assert tokens.password_fingerprint(user) != tokens.read(tokens.RESET_PASSWORD, before, 3600)[1]


def test_links_live_as_long_as_their_mails_say():
    ages = [timedelta(seconds=one) for one in (tokens.CONFIRM_AGE, tokens.RESET_AGE, tokens.INVITATION_AGE)]
    assert ages == [timedelta(days=7), timedelta(hours=1), timedelta(days=7)]

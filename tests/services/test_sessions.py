"""Log-ins that can be revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.domain.errors import DomainError
from portal.services import sessions

WHERE = {"user_agent": "Firefox" * 100, "ip": "203.0.113.7"}


@pytest.fixture
def alice(factory):
    return factory.user("alice")


def test_a_token_finds_its_log_in_until_it_expires(session, alice, now):
    token = sessions.open_for(session, alice, now=now, **WHERE)
    found = sessions.find_live(session, token, now)
    assert found.user.id == alice.id
    assert token not in (found.token_sha256, found.id)
    assert sessions.find_live(session, token + "x", now) is None
    assert sessions.find_live(session, token, now + sessions.LIFETIME) is None


def test_a_revoked_log_in_is_gone(session, alice, now):
    token = sessions.open_for(session, alice, now=now, **WHERE)
    row = sessions.find_live(session, token, now)
    sessions.revoke(session, alice.id, row.id, now)
    assert sessions.find_live(session, token, now) is None
    with pytest.raises(DomainError) as refusal:
        sessions.revoke(session, alice.id, row.id, now)
    assert refusal.value.code == "not_found"


def test_the_others_are_ended_and_the_kept_one_stays(session, alice, factory, now):
    mine, others = (sessions.open_for(session, alice, now=now, **WHERE) for _ in range(2))
    bobs = sessions.open_for(session, factory.user("bob"), now=now, **WHERE)
    kept = sessions.find_live(session, mine, now)
    assert sessions.revoke_others(session, alice.id, kept.id, now) == 1
    session.commit()
    assert sessions.find_live(session, mine, now)
    assert sessions.find_live(session, bobs, now)
    assert sessions.find_live(session, others, now) is None


def test_the_list_shows_live_ones_latest_use_first(session, alice, now):
    for hours in (3, 1, 2):
        sessions.open_for(session, alice, now=now - timedelta(hours=hours), **WHERE)
    sessions.open_for(session, alice, now=now - timedelta(days=30), **WHERE)
    used = [row.last_seen_at for row in sessions.live_sessions(session, alice.id, now)]
    assert used == [now - timedelta(hours=hours) for hours in (1, 2, 3)]

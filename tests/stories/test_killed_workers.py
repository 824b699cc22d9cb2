"""The story on PostgreSQL, Pebble, Alibaba's protocol and SMTP, with workers killed at the boundaries of steps."""

from __future__ import annotations

import pytest

from tests.stories.killed_run import BOUNDARIES, run

pytestmark = [pytest.mark.databases("postgresql"), pytest.mark.timeout(300)]


def test_the_story_runs_undisturbed(database, redis_server, tmp_path):
    outcome = run(tmp_path, database.url, redis_server.url, {})
    assert (outcome.kills, outcome.died_at, outcome.mails) == (0, (), 3)


def test_the_story_survives_a_worker_that_is_killed_at_every_boundary_in_turn(
    database, redis_server, tmp_path
):
    outcome = run(tmp_path, database.url, redis_server.url, dict.fromkeys(BOUNDARIES, "kill"), timeout=240)
    assert outcome.died_at == tuple(sorted(BOUNDARIES))
    assert outcome.kills == len(BOUNDARIES)

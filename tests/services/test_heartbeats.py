"""Signs of life."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import Flask

from portal.extensions import db
from portal.models.history import Heartbeat
from portal.services import heartbeats


def test_a_name_never_heard_is_silent(core_app: Flask, now: datetime) -> None:
    assert heartbeats.last_beat("scheduler") is None
    assert heartbeats.is_silent("scheduler", now, 60)


def test_silence_begins_after_the_time_given(core_app: Flask, now: datetime) -> None:
    heartbeats.beat("scheduler", now)
    assert not heartbeats.is_silent("scheduler", now + timedelta(seconds=60), 60)
    assert heartbeats.is_silent("scheduler", now + timedelta(seconds=61), 60)


def test_beating_again_moves_the_one_row(core_app: Flask, now: datetime) -> None:
    for minutes in range(3):
        heartbeats.beat("scheduler", now + timedelta(minutes=minutes))
    heartbeats.beat("scan", now)
    assert heartbeats.last_beat("scheduler") == now + timedelta(minutes=2)
    assert db.session.query(Heartbeat).count() == 2

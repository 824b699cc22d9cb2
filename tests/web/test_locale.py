"""Language and time zone of the reader; money and moments in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask_babel import force_locale

from portal.domain.money import Money
from portal.web import locale
from portal.web.clock import now

pytestmark = pytest.mark.databases("sqlite")

MOMENT = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh-Hans-CN", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("zh-TW,en;q=0.5", "zh-Hans"),
        ("en-GB,en;q=0.9,zh;q=0.1", "en"),
        ("de-DE,en;q=0.4,zh;q=0.2", "en"),
        ("de", "zh-Hans"),
        ("zh;q=0,en", "en"),
        ("", "zh-Hans"),
        ("*", "zh-Hans"),
    ],
)
def test_the_language_is_the_best_that_the_browser_asks_for(client, accepted, tag):
    page = client.get("/login", headers={"Accept-Language": accepted})
    assert f'<html lang="{tag}"' in page.text


def test_a_language_that_we_lack_in_a_cookie_is_passed_over(client):
    client.set_cookie("locale", "fr")
    assert '<html lang="en"' in client.get("/login", headers={"Accept-Language": "en"}).text


@pytest.mark.parametrize(("amount", "text"), [(54000, "¥540.00"), (Money(1), "¥0.01"), (0, "¥0.00")])
def test_money_is_written_with_its_sign(app, amount, text):
    with app.test_request_context(), force_locale("zh_Hans"):
        assert locale.money(amount) == text


def test_moments_are_written_in_the_zone_of_the_reader(app):
    with app.test_request_context():
        assert locale.moment(MOMENT) == "2026-11-24 02:30"
        assert locale.day(MOMENT) == "2026-11-24"
        assert 'datetime="2026-11-23T18:30:00+00:00"' in locale.time_tag(MOMENT)
        assert locale.time_tag(None) == "—"
        assert locale.moment(None) == locale.day(None) == locale.ago(None) == ""


def test_relative_times_speak_the_language(app):
    with app.test_request_context():
        with force_locale("zh_Hans"):
            assert locale.ago(now() - timedelta(minutes=3)) == "3分钟前"
        with force_locale("en"):
            assert locale.ago(now() + timedelta(days=5, minutes=1)) == "in 5 days"


@pytest.mark.parametrize(("hours", "days"), [(47, 1), (24.1, 1), (23, 0), (-1, -1)])
def test_days_left_are_whole_days(hours, days):
    assert locale.days_until(now() + timedelta(hours=hours)) == days


def test_zones_are_places():
    zones = locale.timezones()
    assert "Asia/Shanghai" in zones
    assert not [zone for zone in zones if zone.startswith("Etc/") or "/" not in zone]

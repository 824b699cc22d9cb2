"""Language, theme, and coming back to the same page."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.databases("sqlite")


def test_a_logged_out_reader_keeps_language_and_theme_in_the_browser(client):
    client.post("/preferences", data={"locale": "en"})
    client.post("/preferences", data={"theme": "dark"})
    page = client.get("/login", headers={"Accept-Language": "zh-CN"}).text
    assert '<html lang="en" data-theme="dark" data-bs-theme="dark">' in page


def test_the_language_of_a_user_goes_with_them(client, app, cast):
    client.log_in(cast.alice)
    client.post("/preferences", data={"locale": "en"})
    elsewhere = app.test_client()
    elsewhere.log_in(cast.alice)
    page = elsewhere.get("/account/profile", headers={"Accept-Language": "zh-CN"}).text
    assert '<html lang="en"' in page


@pytest.mark.parametrize(
    ("wanted", "there"), [("/account/team?x=1", "/account/team?x=1"), ("//evil.example", "/")]
)
def test_one_comes_back_to_the_same_page_and_no_other_site(client, wanted, there):
    assert client.post("/preferences", data={"theme": "light", "next": wanted}).location == there


def test_nonsense_is_not_kept(client):
    response = client.post("/preferences", data={"theme": "<script>", "locale": "xx"})
    kept = [value for value in response.headers.getlist("Set-Cookie") if not value.startswith("session=")]
    assert kept == []

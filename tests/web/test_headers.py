"""What every response says to browsers."""

from __future__ import annotations

import pytest

from portal.app import create_app

pytestmark = pytest.mark.databases("sqlite")


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(client):
    policy = client.get("/login").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for part in ("script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy


def test_a_payment_page_may_be_where_a_form_ends(app, client):
    app.config["CSP_FORM_ACTION"] = ("https://pay.example.com",)
    policy = client.get("/login").headers["Content-Security-Policy"]
    assert "form-action 'self' https://pay.example.com" in policy


@pytest.mark.parametrize("path", ["/login", "/nothing/here", "/static/app.css", "/healthz"])
def test_nothing_is_sniffed_or_framed(client, path):
    with client.get(path) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_pages_behind_the_log_in_are_not_stored(client, cast):
    client.log_in(cast.alice)
    assert client.get("/account/profile").headers["Cache-Control"] == "no-store"


def test_partials_and_pages_are_not_mixed_up_by_caches(client):
    assert "HX-Request" in client.get("/login").headers["Vary"]


def test_https_is_kept_to_once_it_is_used(client):
    assert "Strict-Transport-Security" not in client.get("/login").headers
    assert "Strict-Transport-Security" in client.get("/login", base_url="https://portal.example").headers


@pytest.mark.parametrize("overrides", [{"secure_cookies": True, "base_url": "https://portal.example"}])
def test_the_session_cookie_is_of_this_host_alone(client, cast):
    response = client.get("/login", base_url="https://portal.example")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in cookie


def test_a_portal_can_be_made_without_touching_anything(settings):
    assert create_app(settings).config["WTF_CSRF_TIME_LIMIT"] is None

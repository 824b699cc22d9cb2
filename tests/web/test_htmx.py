"""One view for the page and for its partial."""

from __future__ import annotations

import pytest

from portal.web import htmx

pytestmark = pytest.mark.databases("sqlite")


@pytest.mark.parametrize(
    ("headers", "is_partial"),
    [
        ({}, False),
        ({"HX-Request": "true"}, True),
        ({"HX-Request": "true", "HX-Boosted": "true"}, False),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, False),
    ],
)
def test_a_partial_is_for_htmx_alone(app, headers, is_partial):
    with app.test_request_context(headers=headers):
        assert htmx.wants_partial() is is_partial


def test_htmx_follows_a_redirect_by_loading_the_page(app):
    with app.test_request_context(headers={"HX-Request": "true"}):
        response = htmx.go_to("/there")
        assert (response.status_code, response.headers["HX-Redirect"]) == (200, "/there")
    with app.test_request_context():
        response = htmx.go_to("/there")
        assert (response.status_code, response.location) == (303, "/there")


def test_a_partial_of_a_page_that_needs_a_log_in_leads_to_the_log_in_page(client):
    response = client.get("/account/team", htmx=True)
    assert response.headers["HX-Redirect"] == "/login"

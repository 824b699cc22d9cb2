"""The side bar: where one can go."""

from __future__ import annotations

import pytest

from portal.web import navigation

pytestmark = pytest.mark.databases("sqlite")


def endpoints(is_operator: bool, has_organisation: bool) -> list[str]:
    return [entry.endpoint for entry in navigation.entries(is_operator, has_organisation)]


def test_customers_see_their_pages_and_operators_theirs(app):
    with app.test_request_context():
        assert "account.team" in endpoints(False, True)
        assert "operator.dashboard" not in endpoints(False, True)
        assert "account.team" not in endpoints(True, False)
        assert endpoints(False, False) == []


def test_every_entry_leads_to_a_page(app):
    with app.test_request_context():
        for entry in navigation.CUSTOMER + navigation.OPERATOR:
            assert entry.url.startswith("/")


@pytest.mark.parametrize(
    ("path", "endpoint"), [("/", "certificates.overview"), ("/certificates", "certificates.index")]
)
def test_the_entry_with_the_longest_area_is_current(app, path, endpoint):
    with app.test_request_context(path):
        current = navigation.current(navigation.entries(False, True))
        assert current is not None
        assert current.endpoint == endpoint

"""Static files are kept for a year, so their addresses change with their content."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.databases("sqlite")


def test_every_static_address_on_a_page_exists_and_carries_a_version(client):
    page = client.get("/login").text
    addresses = set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page))
    assert len(addresses) > 5
    for address in addresses:
        assert "?v=" in address
        with client.get(address) as response:
            assert response.status_code == 200


def test_static_files_are_kept_by_browsers(client):
    with client.get("/static/app.css") as response:
        assert "max-age=31536000" in response.headers["Cache-Control"]

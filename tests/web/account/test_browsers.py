"""User-Agent texts in words."""

from __future__ import annotations

import pytest

from portal.web.account.browsers import browser_name, is_phone

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Version/17.0 Mobile/1 Safari/604"
)


@pytest.mark.parametrize(
    ("text", "name", "phone"),
    [
        (CHROME, "Chrome · Linux", False),
        (CHROME + " Edg/130.0", "Edge · Linux", False),
        (PHONE, "Safari · iPhone", True),
        ("", "", False),
    ],
)
def test_a_browser_is_named(text, name, phone):
    assert (browser_name(text), is_phone(text)) == (name, phone)

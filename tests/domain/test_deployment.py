from __future__ import annotations

import pytest

from portal.domain.deployment import covers


@pytest.mark.parametrize(
    ("names",                        "domain",             "is_covered"),
    [
        (("shop.example.com",),       "shop.example.com",   True),
        (("shop.example.com",),       "SHOP.example.com",   True),
        (("SHOP.example.com",),       "shop.example.com",   True),
        (("*.example.com",),          "shop.example.com",   True),
        (("*.example.com",),          "example.com",        False),
        (("*.example.com",),          "a.b.example.com",    False),
        (("*.example.com",),          "*.example.com",      True),
        (("*.example.com",),          ".example.com",       True),
        (("shop.example.com",),       "*.example.com",      False),
        (("shop.example.com",),       ".example.com",       False),
        (("example.com",),            ".example.com",       False),
        (("example.com", "a.org"),    "a.org",              True),
        (("example.com",),            "notexample.com",     False),
        (("*.com",),                  "example.com",        True),
        ((),                          "example.com",        False),
    ],
)  # fmt: skip
def test_a_certificate_serves_its_names_and_one_label_under_its_wildcards(names, domain, is_covered):
    assert covers(names, domain) is is_covered

"""Names as a CA's limits count them, and as its refusals speak of them."""

from __future__ import annotations

import pytest

from portal.domain.limited_names import (
    held_names,
    hold_scopes,
    is_about_names,
    names_digest,
    registered_domain,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.com", "example.com"),
        ("*.a.b.example.com", "example.com"),
        ("shop.example.com.cn", "example.com.cn"),
        ("com.cn", "com.cn"),
        ("www.example.bj.cn", "example.bj.cn"),
        ("www.example.bj.de", "bj.de"),
        ("www.example.co.uk", "example.co.uk"),
        ("www.example.gov.au", "example.gov.au"),
        ("www.com.example.com", "example.com"),
        ("WWW.Example.CN.", "example.cn"),
        ("xn--fiqs8s.example.xn--fiqs8s", "example.xn--fiqs8s"),
        ("intranet", "intranet"),
    ],
)
def test_the_registered_part_of_a_name(name: str, expected: str) -> None:
    assert registered_domain(name) == expected


NAMES = ("shop.example.com", "*.example.org")


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ('too many certificates (50) already issued for "example.com" in the last 168h', ("example.com",)),
        ("too many failed authorizations (5) for shop.example.com in the last 1h", ("shop.example.com",)),
        ("temporarily prevented from requesting certificates for *.example.org.", ("example.org",)),
        ("too many new orders (300) from this account in the last 3h, see https://example.com/limits", ()),
        ('too many certificates already issued for "other.com"', ()),
        ("notexample.com and example.community are others", ()),
        ("too many new orders", ()),
        ("", ()),
    ],
)
def test_a_refusal_holds_the_names_that_it_speaks_of(said: str, held: tuple[str, ...]) -> None:
    assert held_names(said, NAMES) == held


def test_a_refusal_of_the_whole_set_holds_this_set_alone() -> None:
    said = "too many certificates (5) already issued for this exact set of identifiers in the last 168h"
    assert held_names(said, NAMES) == (names_digest(NAMES),)
    assert names_digest(NAMES) in hold_scopes(NAMES)
    assert names_digest(NAMES) not in hold_scopes(NAMES[:1])


def test_without_names_whatever_looks_like_one_is_held() -> None:
    assert held_names('for "example.com", see https://ca.example.net/limits', ()) == ("example.com",)
    assert is_about_names("already issued for this exact set of identifiers")
    assert not is_about_names("too many new orders (300) from this account in the last 3h0m0s")


def test_a_name_is_held_by_all_that_it_lies_under() -> None:
    assert set(hold_scopes(("*.a.example.com",))) == {
        names_digest(("*.a.example.com",)),
        "a.example.com",
        "example.com",
    }
    assert "intranet" in hold_scopes(("intranet",))


def test_long_texts_are_read_quickly() -> None:
    assert held_names("a." * 5000 + "!", NAMES) == ()

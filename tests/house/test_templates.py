"""Templates keep to the content security policy and waste no partial."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from tests.house.sources import ours, text_of

TEMPLATES = ours("portal/templates", suffix=".html")
#: Mail programs know no style sheets, and mails are shown in a frame with a policy of its own.
PAGES = [name for name in TEMPLATES if not name.startswith("portal/templates/emails/")]
PARTIALS = [name for name in TEMPLATES if PurePosixPath(name).name.startswith("_")]
INLINE = {
    "inline style": r"<style\b|\sstyle\s*=",
    "inline script": r"<script\b(?![^>]*\ssrc=)",
    "event attribute": r"<[a-z][^>]*\son[a-z]+\s*=",
    "javascript address": r"javascript:",
    "script of another site": r"<(?:script|link|img)\b[^>]*(?:src|href)\s*=\s*[\"']?(?:https?:)?//",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_nothing_inline(name):
    assert not [what for what, pattern in INLINE.items() if re.search(pattern, text_of(name), re.IGNORECASE)]


@pytest.mark.parametrize("name", PARTIALS)
def test_a_partial_is_part_of_some_page(name):
    short = name.removeprefix("portal/templates/")
    used = re.compile(rf"{{%-?\s*(?:include|from|import|extends)\s*[^%]*[\"']{re.escape(short)}[\"']")
    assert [one for one in ours("portal/templates", suffix="") if one != name and used.search(text_of(one))]


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_is_marked_safe_by_hand(name):
    assert not re.search(r"\|\s*safe\b|autoescape\s+false", text_of(name))

"""Every code that the house can raise has a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portal.web import messages

PORTAL = Path(messages.__file__).parents[1]
CODE = re.compile(r"(?:DomainError|AdapterError)\(\s*\"([a-z_]+)\"")


def known() -> set[str]:
    return {code for area in messages.AREAS for code in area}


def raised() -> set[str]:
    sources = [
        path for path in PORTAL.rglob("*.py") if "cli" not in path.parts and "sandbox" not in path.parts
    ]
    return {code for path in sources for code in CODE.findall(path.read_text("utf-8"))}


def test_every_code_that_is_raised_has_a_sentence():
    assert raised() - known() == set()


@pytest.mark.parametrize("area", messages.AREAS)
def test_codes_stand_in_alphabetical_order(area):
    assert list(area) == sorted(area)


def test_no_code_has_two_sentences():
    assert sum(map(len, messages.AREAS)) == len(known())


@pytest.mark.databases("sqlite")
def test_parameters_fill_the_sentence_and_lacking_ones_break_nothing(app):
    with app.test_request_context():
        assert "15" in messages.message_for("password_too_short", {"least": 15})
        assert messages.message_for("password_too_short", {})
        assert "made_up" in messages.message_for("made_up")

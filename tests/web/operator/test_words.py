"""What pieces of work are called."""

from __future__ import annotations

import pytest
from flask_babel import force_locale

from portal.services import subjects
from portal.web.operator import words

pytestmark = pytest.mark.databases("sqlite")


def test_every_kind_of_work_has_a_name():
    assert set(words.KINDS) == set(subjects.MODELS)


@pytest.mark.parametrize(
    ("kind", "note", "said"),
    [
        ("check", "validation", "Domain validation"),
        ("notice", "renewed", "Renewed"),
        ("deployment", "cdn", "CDN"),
    ],
)
def test_the_second_line_says_what_it_is_about(app, kind, note, said):
    with app.test_request_context(), force_locale("en"):
        assert str(words.note(kind, note)) == said

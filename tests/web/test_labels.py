"""Every state and word has a face of its own."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from portal import web
from portal.domain.deployment import DeploymentState
from portal.domain.hosting import CertificateState
from portal.web.assets import ICONS
from portal.web.labels import FACES, face, label

STATIC = Path(web.__file__).parents[1] / "static"
TONES = {"ok", "warn", "bad", "info", "quiet", "accent"}


@pytest.mark.parametrize("kind", FACES)
def test_no_member_lacks_a_face(kind: type[StrEnum]):
    assert set(FACES[kind]) == set(kind)
    assert {one.tone for one in FACES[kind].values()} <= TONES


def test_states_that_share_a_value_do_not_share_a_face():
    assert face(CertificateState.UPLOADED) != face(DeploymentState.UPLOADED)


def test_a_word_without_a_face_shows_itself():
    class Colour(StrEnum):
        RED = "red"

    assert label(Colour.RED) == "red"


def test_every_icon_named_anywhere_is_in_the_sprite():
    sprite = set(re.findall(r'<symbol id="([a-z0-9-]+)"', (STATIC / ICONS).read_text("utf-8")))
    templates = STATIC.parent / "templates"
    used = {one.icon for table in FACES.values() for one in table.values()}
    for path in templates.rglob("*.html"):
        used |= set(re.findall(r'\bicon\("([a-z0-9-]+)"', path.read_text("utf-8")))
    assert used - sprite == set()

"""What no file of the repository may say."""

from __future__ import annotations

import re

import pytest

from tests.house.sources import ROOT, VENDORED, tracked

BINARY = (".mo", ".png", ".jpg", ".ico", ".woff2", ".woff", ".p12", ".pfx", ".jks", ".der", ".gz")
#: Written so that this file does not say them itself.
PATTERNS = {
    "a package registry": r"pypi\.[a-z]{3}|files\.python" r"hosted|registry\.npm" r"js|--(?:extra-)?index" r"-url",
    "a path of one machine": r"(?<![\w.])/(?:work|root|home)/" r"\w|/tmp/" r"env\b",
    "a secret": r"-----BEGIN (?:RSA |EC |ENCRYPTED )?PRIVATE" r" KEY-----\s+[A-Za-z0-9+/=]{40}",
    "an unfinished thought": r"#\s*(?:TO" r"DO|FIX" r"ME|XX" r"X)\b",
}  # fmt: skip
READABLE = [name for name in tracked() if not name.endswith(BINARY) and not name.startswith(VENDORED)]


@pytest.mark.parametrize("what", PATTERNS)
def test_no_file_tells(what):
    pattern = re.compile(PATTERNS[what])
    found = []
    for name in READABLE:
        text = (ROOT / name).read_text("utf-8")
        found += [f"{name}: {match.group()}" for match in pattern.finditer(text)]
    assert not found


def test_vendored_files_keep_their_licences():
    folders = {name.rpartition("/")[0] for name in tracked() if name.startswith(VENDORED)}
    kept = {
        name.rpartition("/")[0]
        for name in tracked()
        if "LICENSE" in name.upper() and name.startswith(VENDORED)
    }
    assert not [one for one in folders if not any(one == home or one.startswith(f"{home}/") for home in kept)]


def test_locked_requirements_have_hashes_and_name_no_host():
    for name in ("requirements/main.txt", "requirements/dev.txt"):
        text = (ROOT / name).read_text("utf-8")
        pins = re.findall(r"^[a-zA-Z0-9_.-]+(?:\[[a-z,]+\])?==", text, re.MULTILINE)
        assert pins
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= len(pins)
        assert "://" not in text

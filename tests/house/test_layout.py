"""The layout of the house is fixed, and each test stands where what it tests stands."""

from __future__ import annotations

import re
import statistics
from pathlib import PurePosixPath

import pytest

from tests.house.sources import ROOT, functions_of, length_of, ours, text_of, tracked, tree_of

TOP_LEVEL = {
    *("portal", "jobs", "tests", "pyproject.toml", "Procfile"),
    *("README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", "Makefile", "requirements", "Dockerfile"),
    *("compose.yaml", "docs", "bench", ".ci", ".gitignore", ".dockerignore"),
}
#: Tests of no single module.
WHOLE = ("tests/stories/", "tests/faults/", "tests/house/", "tests/aliyun/")
#: Contract suites: one for all implementations of a kind.
CONTRACT = "contract"
VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)(_|$)", re.IGNORECASE)
VAGUE_CLASS = re.compile(r"(Utils?|Helpers?|Manager|Common|Misc)$")

LONGEST_MODULE = 300
LONGEST_FUNCTION = 40
PRODUCT = ours("portal", "jobs")
ALL = ours("portal", "jobs", "bench", "tests")


def test_the_top_level_holds_what_the_house_names():
    assert {name.partition("/")[0] for name in tracked()} <= TOP_LEVEL


@pytest.mark.parametrize("name", [one for one in ALL if not one.startswith("tests/")])
def test_nothing_has_a_vague_name(name):
    parts = PurePosixPath(name).with_suffix("").parts
    assert not [part for part in parts if VAGUE.search(part)]
    classes = [node.name for node in tree_of(name).body if type(node).__name__ == "ClassDef"]
    assert not [one for one in classes if VAGUE_CLASS.search(one)]


@pytest.mark.parametrize("name", ALL)
def test_no_module_and_no_function_is_too_long(name):
    assert len(text_of(name).splitlines()) <= LONGEST_MODULE
    long = {one.name: length_of(one) for one in functions_of(name) if length_of(one) > LONGEST_FUNCTION}
    assert not long


def test_modules_and_functions_are_short_as_a_rule():
    modules = [len(text_of(name).splitlines()) for name in PRODUCT if not name.endswith("__init__.py")]
    functions = [length_of(one) for name in PRODUCT for one in functions_of(name)]
    assert statistics.median(modules) < 120
    assert statistics.median(functions) <= 10


@pytest.mark.parametrize("name", [one for one in PRODUCT if text_of(one).strip()])
def test_every_module_says_what_it_is(name):
    node = tree_of(name)
    first = node.body[0]
    assert type(first).__name__ == "Expr"
    assert isinstance(first.value.value, str)


def _mirrored(name: str) -> bool:
    folder, stem = PurePosixPath(name).parent, PurePosixPath(name).stem.removeprefix("test_")
    inside = folder.relative_to("tests")
    home = ROOT / inside if inside.parts[:1] == ("jobs",) else ROOT / "portal" / inside
    if stem.endswith(CONTRACT):
        return home.is_dir()
    words = stem.split("_")
    candidates = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    return any((home / f"{one}.py").is_file() or (home / one).is_dir() for one in candidates)


@pytest.mark.parametrize(
    "name", [one for one in ours("tests") if "/test_" in one and not one.startswith(WHOLE)]
)
def test_every_test_mirrors_a_module(name):
    assert _mirrored(name)


@pytest.mark.parametrize("name", [one for one in ours("tests") if "/test_" in one])
def test_no_test_is_skipped_or_expected_to_fail(name):
    forbidden = ("mark." + "skip", "mark." + "xfail", "pytest." + "skip(", "pytest." + "xfail(")
    assert not [word for word in forbidden if word in text_of(name)]

"""Make portal/static/vendor/tabler-1.6.1/tabler.css: `python docs/tabler_layer.py PACKAGE_FOLDER`.

PACKAGE_FOLDER is the unpacked npm package @tabler/core. Its style sheet is put into a cascade layer, so that every
rule of portal/static/app.css wins over it, and loses what no template, macro or script of ours could mean: a rule
stays only if each class that it names occurs as a word somewhere in portal/templates, portal/web or app.js.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PORTAL = Path(__file__).parents[1] / "portal"
SHEET = PORTAL / "static/vendor/tabler-1.6.1/tabler.css"
LICENCE = (
    "/*! Tabler 1.6.1, MIT: see LICENSE beside this file. Purged and layered by docs/tabler_layer.py. */"
)
SOURCES = ("templates/**/*.html", "web/**/*.py", "static/app.js", "static/theme.js")
NESTING = ("@media", "@supports", "@layer", "@container")


def rules(css: str) -> Iterator[tuple[str, str]]:
    """Each (prelude, body) of one level of a style sheet; the body of a statement without a block is empty."""
    start = position = 0
    while position < len(css):
        if css[position] in "\"'":
            position = css.index(css[position], position + 1)
        elif css[position] == ";":
            yield css[start:position].strip(), ""
            start = position + 1
        elif css[position] == "{":
            end = _closing(css, position)
            yield css[start:position].strip(), css[position + 1 : end]
            start, position = end + 1, end
        position += 1


def _closing(css: str, opening: int) -> int:
    """The brace that closes the block."""
    depth, position = 0, opening
    while True:
        if css[position] in "\"'":
            position = css.index(css[position], position + 1)
        depth += {"{": 1, "}": -1}.get(css[position], 0)
        if depth == 0:
            return position
        position += 1


def _selectors(prelude: str) -> list[str]:
    """Split at the commas that are in no parentheses."""
    return re.split(r",(?![^(]*\))", prelude)


def _kept(prelude: str, words: set[str]) -> str:
    """The selectors whose classes all occur (those inside :not() may be anything)."""
    fitting = []
    for selector in _selectors(prelude):
        classes = re.findall(r"\.((?:\\.|[\w-])+)", re.sub(r":not\([^)]*\)", "", selector))
        if all(name.replace("\\", "") in words for name in classes):
            fitting.append(selector)
    return ",".join(fitting)


def purge(css: str, words: set[str]) -> str:
    """The style sheet without the rules that cannot apply."""
    parts = []
    for prelude, body in rules(css):
        if prelude.startswith(NESTING):
            inner = purge(body, words)
            parts.append(f"{prelude}{{{inner}}}" if inner else "")
        elif prelude.startswith("@"):
            parts.append(f"{prelude}{{{body}}}" if body else "")
        elif kept := _kept(prelude, words):
            parts.append(f"{kept}{{{body}}}")
    return "".join(parts)


def words_of_ours() -> set[str]:
    """Every word that could be a class."""
    texts = [path.read_text("utf-8") for pattern in SOURCES for path in PORTAL.glob(pattern)]
    return set(re.findall(r"[A-Za-z][\w:/-]*", " ".join(texts)))


def main(package: Path) -> None:
    """Write the sheet."""
    css = re.sub(r"/\*.*?\*/", "", (package / "dist/css/tabler.min.css").read_text("utf-8"), flags=re.DOTALL)
    SHEET.write_text(f"{LICENCE}\n@layer tabler{{{purge(css, words_of_ours())}}}\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The translation catalogues against the sources: `python -m tests.house.catalogues` checks, `--update` mends.

--update extracts every msgid, keeps the translations there are, drops what is no longer used, and compiles. It never
guesses: a new msgid comes without a translation, and the check names it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

from tests.house.sources import ROOT

FOLDER = ROOT / "portal" / "translations"
MAPPING = FOLDER / "babel.cfg"
#: English msgids are English already; its catalogue may stay empty.
LOCALES = ("zh_Hans", "en")
COMPLETE = ("zh_Hans",)
#: Beside the usual ones: _l, and the labels that adapters declare without translating them. Two passes, since Babel
#: does not look for one call inside another.
PASSES = (
    {**DEFAULT_KEYWORDS, **parse_keywords(["_l", "lazy_gettext", "Field:2"])},
    parse_keywords(["Kind:2", "Provider:1"]),
)
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%|%")


def extracted() -> Catalog:
    """What the sources say."""
    with MAPPING.open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file, filename=str(MAPPING))
    catalog = Catalog(charset="utf-8")
    for keywords in PASSES:
        found = extract_from_dir(str(ROOT / "portal"), _under_portal(methods), _options(options), keywords)
        for _file, _line, message, _comments, context in found:
            catalog.add(message, context=context)
    return catalog


def _under_portal(methods: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(pattern.removeprefix("portal/"), method) for pattern, method in methods]


def _options(options: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {pattern.removeprefix("portal/"): chosen for pattern, chosen in options.items()}


def path_of(locale: str, suffix: str = "po") -> Path:
    return FOLDER / locale / "LC_MESSAGES" / f"messages.{suffix}"


def stored(locale: str) -> Catalog:
    """What the catalogue says; empty where there is none."""
    if not path_of(locale).exists():
        return Catalog(locale=locale, charset="utf-8")
    with path_of(locale).open("rb") as file:
        return read_po(file, locale=locale, charset="utf-8")


def _messages(catalog: Catalog) -> dict[str, Message]:
    return {str(message.id): message for message in catalog if message.id}


def problems(locale: str, source: Catalog) -> Iterator[str]:
    """Everything that is wrong with a catalogue, a line each."""
    wanted, held = _messages(source), _messages(stored(locale))
    yield from (f"{locale}: not in the catalogue: {one!r}" for one in wanted.keys() - held.keys())
    yield from (f"{locale}: no longer in the sources: {one!r}" for one in held.keys() - wanted.keys())
    for text, message in held.items():
        if message.fuzzy:
            yield f"{locale}: fuzzy: {text!r}"
        if not message.string and locale in COMPLETE:
            yield f"{locale}: not translated: {text!r}"
        if message.string and _placeholders(text) != _placeholders(str(message.string)):
            yield f"{locale}: other placeholders: {text!r}: {message.string!r}"
    yield from _stale_mo(locale, held)


def _placeholders(text: str) -> set[str]:
    return {match.group() for match in PLACEHOLDER.finditer(text)}


def _stale_mo(locale: str, held: dict[str, Message]) -> Iterator[str]:
    path = path_of(locale, "mo")
    if not path.exists():
        yield f"{locale}: not compiled"
        return
    with path.open("rb") as file:
        compiled = {str(one.id): one.string for one in read_mo(file) if one.id}
    if compiled != {text: one.string for text, one in held.items() if one.string}:
        yield f"{locale}: compiled from something else"


def update(locale: str, source: Catalog) -> None:
    """Bring the catalogue to the sources and compile it."""
    old = _messages(stored(locale))
    new = Catalog(
        locale=locale,
        charset="utf-8",
        header_comment=f"# Perennial in {locale}.",
        project="Perennial",
        version="1",
        msgid_bugs_address="",
        fuzzy=False,
    )
    for text, message in sorted(_messages(source).items()):
        new.add(message.id, old[text].string if text in old else "", flags=message.flags - {"fuzzy"})
    path_of(locale).parent.mkdir(parents=True, exist_ok=True)
    with path_of(locale).open("wb") as file:
        write_po(file, new, width=0, no_location=True, omit_header=False, ignore_obsolete=True)
    _drop_dates(path_of(locale))
    with path_of(locale, "mo").open("wb") as file:
        write_mo(file, new)


def _drop_dates(path: Path) -> None:
    """Headers that change with every run say nothing."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    changing = ("POT-Creation-Date", "PO-Revision-Date", "Last-Translator", "Language-Team", "Generated-By")
    path.write_text(
        "".join(line for line in lines if not line.startswith(tuple(f'"{one}' for one in changing))), "utf-8"
    )


def main() -> int:
    source = extracted()
    if "--update" in sys.argv[1:]:
        for locale in LOCALES:
            update(locale, source)
    found = [line for locale in LOCALES for line in problems(locale, source)]
    print("\n".join(found) or f"{len(_messages(source))} messages, complete in {', '.join(COMPLETE)}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Every reason for which anything is refused has its sentence; the reader never sees a code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from flask_babel import force_locale

from portal.adapters.cloud import errors as cloud_errors
from portal.adapters.dns import errors as dns_errors
from portal.web import messages
from tests.house.sources import ours, tree_of

RAISED = {"DomainError", "AdapterError", "VaultError", "Finding", "_finding", "_Odd"}
#: Codes that reach an error through a variable: ca/base.py names them, issuance.py returns them.
BY_NAME = {
    "ca_order_gone",
    "ca_account_gone",
    "ca_rate_limited",
    "ca_unavailable",
    "ca_refused",
    "injected_fault",
}
NAMED = [*vars(cloud_errors).items(), *vars(dns_errors).items()]
OUTSIDE = {value for name, value in NAMED if name.isupper() and isinstance(value, str)}
#: Mishaps of the programmer's, which no page and no mail ever shows.
UNSEEN = {"injected_fault"}
CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+")


def _texts(node: ast.expr) -> Iterator[str]:
    """The string literals that an expression can be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def _raised(name: str) -> Iterator[str]:
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).rpartition(".")[2] in RAISED:
            yield from _texts(node.args[0])
        if isinstance(node, ast.Return) and node.value is not None and name == "portal/domain/issuance.py":
            yield from _texts(node.value)


def every_code() -> list[str]:
    found = {code for name in ours("portal") for code in _raised(name) if CODE.fullmatch(code)}
    return sorted((found | BY_NAME | OUTSIDE) - UNSEEN)


KNOWN = {code: text for area in messages.AREAS for code, text in area.items()}


def test_every_code_has_a_sentence():
    assert [code for code in every_code() if code not in KNOWN] == []


def test_no_code_is_explained_twice():
    assert len(KNOWN) == sum(len(area) for area in messages.AREAS)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("locale", ["zh_Hans", "en"])
def test_every_sentence_reads_well(app, locale):
    with app.test_request_context(), force_locale(locale):
        for code in KNOWN:
            sentence = messages.message_for(code, _Anything(at="X"))
            assert sentence.strip(), code
            assert "%(" not in sentence, code
            assert code not in sentence
            is_chinese = bool(re.search(r"[\u4e00-\u9fff]", sentence))
            assert is_chinese == (locale == "zh_Hans"), sentence


class _Anything(dict):
    """Fills every placeholder."""

    def __missing__(self, key: str) -> str:
        return "X"

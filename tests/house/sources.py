"""What is in the repository, for tests about it."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Code of others that we ship as it is.
VENDORED = "portal/static/vendor/"
GENERATED = "portal/migrations/versions/"


@functools.cache
def tracked() -> tuple[str, ...]:
    """Paths of all tracked files that are there, from the top."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    names = listed.stdout.decode().split("\0")
    return tuple(name for name in names if name and (ROOT / name).is_file())


def ours(*tops: str, suffix: str = ".py") -> tuple[str, ...]:
    """Tracked files under these folders with that suffix, without vendored and generated ones."""
    prefixes = tuple(f"{top}/" for top in tops)
    return tuple(
        name
        for name in tracked()
        if name.startswith(prefixes) and name.endswith(suffix) and not name.startswith((VENDORED, GENERATED))
    )


@functools.cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@functools.cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(text_of(name), name)


def functions_of(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method in a module."""
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to its end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1

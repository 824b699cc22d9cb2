"""Finding an implementation by its dotted name, when it is wanted and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(dotted: str) -> Any:
    """The object at "package.module:Name"."""
    module, _, name = dotted.partition(":")
    return getattr(import_module(module), name)

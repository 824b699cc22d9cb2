"""How an implementation says what it needs to be told, so that no form and no command has to know it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """One setting. `label` is an English msgid; a secret one is sealed, and never shown again."""

    name: str
    label: str
    is_secret: bool = False
    is_required: bool = True
    default: str = ""
    choices: tuple[str, ...] = ()

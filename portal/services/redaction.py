"""Tracebacks as operators may see them: without keys, credentials, tokens, or where on the machine things lie."""

from __future__ import annotations

import re

#: The last part of a traceback says most.
MOST_CHARACTERS = 6000

_HIDDEN = "•••"

_PEM = re.compile(r"-----BEGIN [^-]*-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL)
_URL = re.compile(r"(\w+://)[^\s/@]*:[^\s/@]*@")
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[^\s,;'\"]+", re.IGNORECASE)
_NAMED = re.compile(
    r"(\b[\w-]*(?:passw|passphrase|secret|token|authori[sz]ation|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|hmac|signature|cookie|credential)[\w-]*['\"]?\s*[:=]\s*)"
    r"(?:[bru]{0,2}'[^'\n]*'?|[bru]{0,2}\"[^\"\n]*\"?|[^\s,;)}\]]+)",
    re.IGNORECASE,
)
_OPAQUE = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_PLACE = re.compile(r'File "[^"\n]*/((?:portal|jobs|site-packages|lib/python[\d.]+)/)')

#: Ids of rows (32 lower-case hex digits) and names in code are what an operator needs to see.
_ROW_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_NAME = 64


def redact(text: str) -> str:
    """The text without anything that looks like a secret. It rather hides too much than too little."""
    for pattern, replacement in (
        (_PEM, f"-----{_HIDDEN}-----"),
        (_URL, rf"\1{_HIDDEN}@"),
        (_SCHEME, rf"\1 {_HIDDEN}"),
        (_NAMED, rf"\1{_HIDDEN}"),
        (_PLACE, r'File "\1'),
    ):
        text = pattern.sub(replacement, text)
    text = _OPAQUE.sub(lambda found: _HIDDEN if _is_opaque(found.group()) else found.group(), text)
    return text if len(text) <= MOST_CHARACTERS else "…\n" + text[-MOST_CHARACTERS:]


def _is_opaque(word: str) -> bool:
    """Whether a long word looks random: hexadecimal, or upper case, lower case and digits mixed."""
    if _ROW_ID.fullmatch(word):
        return False
    if re.fullmatch(r"[0-9A-Fa-f]+", word) or len(word) > _LONGEST_NAME:
        return True
    kinds = (any(c.isupper() for c in word), any(c.islower() for c in word), any(c.isdigit() for c in word))
    return all(kinds)


def last_line(text: str) -> str:
    """What went wrong, in one line: the last line of a traceback."""
    lines = [line for line in redact(text).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else ""

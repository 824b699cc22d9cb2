"""Names as a CA's limits count them, and as its refusals speak of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence


def names_digest(names: Iterable[str]) -> str:
    """One short text for a set of names, in whatever order they come."""
    return hashlib.sha256(" ".join(sorted(set(names))).encode()).hexdigest()


#: Labels that stand before a country's own where registrations are made at the third level (com.cn, co.uk, gov.au).
_SECOND_LEVEL = re.compile(
    r"ac|co|com|edu|gob|gov|govt|go|gouv|id|ind|info|ltd|me|mil|mod|ne|net|nhs|nom|or|org|plc|sch|web"
)
#: China's provinces register at the third level too.
_PROVINCES = re.compile(
    r"ah|bj|cq|fj|gd|gs|gx|gz|ha|hb|he|hi|hk|hl|hn|jl|js|jx|ln|mo|nm|nx|qh|sc|sd|sh|sn|sx|tj|tw|xj|xz|yn|zj"
)
_COUNTRY = re.compile(r"[a-z]{2}")


def registered_domain(name: str) -> str:
    """The part of a name that somebody registered: the last two labels, or three under com.cn and its like.

    The whole Public Suffix List (300 kB, out of date as soon as it is shipped) is not worth it here: where this is too
    coarse an order waits longer than it must, where it is too fine the CA says so itself and the name is held.
    """
    labels = bare(name).split(".")
    is_third = (
        len(labels) > 2
        and _COUNTRY.fullmatch(labels[-1]) is not None
        and (_SECOND_LEVEL.fullmatch(labels[-2]) or (labels[-1] == "cn" and _PROVINCES.fullmatch(labels[-2])))
    )
    return ".".join(labels[-3:] if is_third else labels[-2:])


def bare(name: str) -> str:
    """A name without its wildcard label, in lower case."""
    return name.removeprefix("*.").lower().rstrip(".")


_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?<![\w.-])(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9](?![\w-])", re.I
)
_EXACT_SET = re.compile(r"exact set of (?:identifiers|domains|names)", re.IGNORECASE)


def held_names(said: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names that a CA's refusal is about, in its own words; empty where it is about the account.

    "too many certificates (50) already issued for "example.com" in the last 168h" holds every name under example.com.
    Without `names` whatever looks like a domain counts; addresses of web pages never do.
    """
    mentioned = {bare(one) for one in _DOMAIN.findall(_URL.sub(" ", said))}
    if names:
        asked = {bare(name) for name in names}
        mentioned = {one for one in mentioned if any(_is_under(name, one) for name in asked)}
    if not mentioned and _EXACT_SET.search(said):
        mentioned = {names_digest(names)} if names else set()
    return tuple(sorted(mentioned))


def is_about_names(said: str) -> bool:
    """Whether a refusal speaks of names at all, even of unknown ones."""
    return bool(held_names(said, ())) or _EXACT_SET.search(said) is not None


def hold_scopes(names: Sequence[str]) -> tuple[str, ...]:
    """Every scope by which one of these names can be held: itself, what it lies under, the set of all."""
    found = {names_digest(names)}
    for name in names:
        labels = bare(name).split(".")
        found |= {".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))}
    return tuple(sorted(found))


def _is_under(name: str, parent: str) -> bool:
    return name == parent or name.endswith(f".{parent}")

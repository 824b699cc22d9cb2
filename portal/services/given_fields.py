"""What somebody filled in, held against the fields that an implementation asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from portal.adapters.fields import Field
from portal.domain.errors import DomainError


@dataclass(frozen=True)
class Given:
    """What was filled in, split as it is stored."""

    config: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)


def split(fields: Sequence[Field], given: Mapping[str, str]) -> Given:
    """The fields filled in: what was given, else their defaults.

    Raises DomainError: unknown_field, field_missing, field_wrong.
    """
    known = {one.name for one in fields}
    if unknown := sorted(set(given) - known):
        raise DomainError("unknown_field", field=unknown[0], choices=", ".join(sorted(known)))
    config: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for one in fields:
        value = given.get(one.name, "").strip() or one.default
        if one.is_required and not value:
            raise DomainError("field_missing", field=one.name)
        if value and one.choices and value not in one.choices:
            raise DomainError("field_wrong", field=one.name, choices=", ".join(one.choices))
        (secrets if one.is_secret else config)[one.name] = value
    return Given(config, secrets)

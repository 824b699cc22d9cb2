"""Moving through a transition table: the same few lines for orders, hostings, renewals, deployments, notices."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from portal.domain.errors import DomainError

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def advance(transitions: Mapping[tuple[S, E], S], state: S, event: E) -> S:
    """Return the state that `event` leads to from `state`.

    Raises DomainError("transition_refused", state, event) where the table has no such row.
    """
    try:
        return transitions[(state, event)]
    except KeyError:
        raise DomainError("transition_refused", state=state.value, event=event.value) from None

"""What commands that work on the database share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from portal.adapters.errors import AdapterError
from portal.app import create_core
from portal.domain.errors import DomainError
from portal.settings import from_env

P = ParamSpec("P")
R = TypeVar("R")


def with_portal(command: Callable[P, R]) -> Callable[P, R]:
    """Run the command inside an app made from the environment; a refusal ends it with one line and exit code 1."""

    @functools.wraps(command)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with create_core(from_env()).app_context():
            try:
                return command(*args, **kwargs)
            except (DomainError, AdapterError) as error:
                raise click.ClickException(str(error)) from None

    return inside

"""What commands that work on the database share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
from flask import current_app
from flask_babel import force_locale

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
                raise click.ClickException(in_words(error)) from None

    return inside


def in_words(error: DomainError | AdapterError) -> str:
    """The sentence for a refusal, with its code and details to search for."""
    with force_locale("en"):
        sentence: str = current_app.extensions["explain"](error.code, error.params)
    return f"{sentence} [{error}]"

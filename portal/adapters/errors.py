"""The one way in which the outside world fails."""

from __future__ import annotations

from datetime import datetime


class AdapterError(Exception):
    """A call to something outside failed.

    `code` is a stable snake_case word for portal.web.messages. A permanent error stops the step and calls a person;
    a temporary one is tried again by the table of intervals, or not before `not_before` where the other side said so.
    `params` and the text are shown to people and logged: they never hold key material, credentials or request bodies.
    """

    def __init__(
        self, code: str, *, permanent: bool, not_before: datetime | None = None, **params: str | int
    ) -> None:
        super().__init__(code)
        self.code = code
        self.permanent = permanent
        self.not_before = not_before
        self.params = params

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.code}({details})"

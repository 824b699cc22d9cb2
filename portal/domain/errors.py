"""The one way in which a rule says no."""

from __future__ import annotations


class DomainError(Exception):
    """A rule refused what was asked.

    `code` is a stable snake_case word that portal.web.messages turns into the reader's language; `params` fill
    its placeholders and hold nothing secret. Neither is ever shown raw.
    """

    def __init__(self, code: str, **params: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.params = params

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.code}({details})"

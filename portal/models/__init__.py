"""The tables. Importing this package knows them all, for migrations and for relationships."""

from portal.models import (
    account,
    catalogue,
    certificate,
    deployment,
    history,
    hosting,
    notice,
    operation,
    order,
)

__all__ = [
    "account",
    "catalogue",
    "certificate",
    "deployment",
    "history",
    "hosting",
    "notice",
    "operation",
    "order",
]

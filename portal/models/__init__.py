"""The tables. Importing this package knows them all, for migrations and for relationships."""

from portal.models import (
    account,
    alarm,
    authority,
    catalogue,
    certificate,
    deployment,
    history,
    hosting,
    notice,
    operation,
    order,
    validation,
)

__all__ = [
    "account",
    "alarm",
    "authority",
    "catalogue",
    "certificate",
    "deployment",
    "history",
    "hosting",
    "notice",
    "operation",
    "order",
    "validation",
]

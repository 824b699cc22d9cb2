"""Importing this module gathers every view of the area; `blueprint` is what the app registers."""

from __future__ import annotations

from portal.web.checkout import notifications, orders, payments
from portal.web.checkout.blueprint import blueprint

__all__ = ["blueprint", "notifications", "orders", "payments"]

"""Importing this module gathers every view of the area; `blueprint` is what the app registers."""

from __future__ import annotations

from portal.web.validation import credentials, listing, setups
from portal.web.validation.blueprint import blueprint

__all__ = ["blueprint", "credentials", "listing", "setups"]

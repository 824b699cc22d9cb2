"""Importing this module gathers every view of the area; `blueprint` is what the app registers."""

from __future__ import annotations

from portal.web.account import login, preferences, profile, signup, team
from portal.web.account.blueprint import blueprint

__all__ = ["blueprint", "login", "preferences", "profile", "signup", "team"]

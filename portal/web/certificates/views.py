"""Importing this module gathers every view of the area; `blueprint` is what the app registers."""

from __future__ import annotations

from portal.web.certificates import downloads, keys, listing, overview, pages, revocations, uploads
from portal.web.certificates.blueprint import blueprint

__all__ = ["blueprint", "downloads", "keys", "listing", "overview", "pages", "revocations", "uploads"]

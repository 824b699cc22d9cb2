"""What a new account starts with: the language of the page it was made on, the installation's time zone."""

from __future__ import annotations

from typing import TypedDict

from flask import current_app

from portal.web.locale import select_locale


class Origin(TypedDict):
    locale: str
    timezone: str


def locale_and_timezone() -> Origin:
    """Keyword arguments for services that make a user."""
    return {"locale": select_locale(), "timezone": current_app.config["BABEL_DEFAULT_TIMEZONE"]}

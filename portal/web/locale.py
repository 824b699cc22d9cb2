"""The reader's language and time zone, and how money and moments are written in them.

Template filters: `money` (Money, or fen), `moment`, `day` (datetimes), `ago` (relative), `time_tag` (a <time>
element, exact moment as its title), `days_until`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import available_timezones

from babel.numbers import format_currency
from flask import Flask, current_app, request
from flask_babel import format_datetime, format_timedelta, get_locale
from flask_login import current_user
from markupsafe import Markup, escape

from portal.domain.money import Money
from portal.web.clock import now

#: What is offered, in its own language.
LOCALES: Mapping[str, str] = {"zh_Hans": "简体中文", "en": "English"}

#: Language tags of browsers → ours; a tag that begins with one of these counts as it.
_TAGS = (("zh-hant", "zh_Hans"), ("zh", "zh_Hans"), ("en", "en"))

COOKIE = "locale"


def locale_for_tag(tag: str) -> str | None:
    """Our locale for a language tag such as zh-CN or en-GB; None for a language that we lack."""
    lowered = tag.lower().replace("_", "-")
    matches = (ours for prefix, ours in _TAGS if lowered == prefix or lowered.startswith(prefix + "-"))
    return next(matches, None)


def negotiated() -> str | None:
    """The best of Accept-Language that we have; None where none is named."""
    accepted = (locale_for_tag(tag) for tag, quality in request.accept_languages if quality > 0)
    return next((locale for locale in accepted if locale), None)


def select_locale() -> str:
    """The user's choice, else the browser's cookie, else Accept-Language, else the installation's."""
    chosen = current_user.locale if current_user.is_authenticated else request.cookies.get(COOKIE)
    if chosen in LOCALES:
        return str(chosen)
    return negotiated() or str(current_app.config["BABEL_DEFAULT_LOCALE"])


def select_timezone() -> str | None:
    """The user's time zone, else the installation's."""
    return current_user.timezone if current_user.is_authenticated else None


def timezones() -> list[str]:
    """The zones to choose from, by region."""
    return sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))


def language_tag() -> str:
    """What the html element's lang says."""
    return "zh-Hans" if str(get_locale()).startswith("zh") else "en"


def money(amount: Money | int) -> str:
    """¥540.00"""
    value = amount if isinstance(amount, Money) else Money(amount)
    return str(format_currency(value.decimal(), value.currency, locale=str(get_locale())))


def moment(value: datetime | None) -> str:
    """2026-11-24 14:05, in the reader's zone."""
    return "" if value is None else str(format_datetime(value, "yyyy-MM-dd HH:mm"))


def day(value: datetime | None) -> str:
    """2026-11-24, in the reader's zone."""
    return "" if value is None else str(format_datetime(value, "yyyy-MM-dd"))


def ago(value: datetime | None) -> str:
    """3 minutes ago, in 5 days."""
    return "" if value is None else str(format_timedelta(value - now(), add_direction=True))


def time_tag(value: datetime | None, how: str = "moment") -> Markup:
    """A <time> element; `how` is moment, day or ago. An em dash for None."""
    if value is None:
        return Markup("—")
    text = {"moment": moment, "day": day, "ago": ago}[how](value)
    exact = format_datetime(value, "yyyy-MM-dd HH:mm:ss ZZZZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), exact, escape(text))


def days_until(value: datetime) -> int:
    """Whole days from now, rounded down; negative once it has passed."""
    return (value - now()) // timedelta(days=1)


def register(app: Flask) -> None:
    """Filters and globals for templates."""
    for function in (money, moment, day, ago, time_tag, days_until):
        app.add_template_filter(function)
    app.jinja_env.globals.update(language_tag=language_tag, locales=LOCALES)

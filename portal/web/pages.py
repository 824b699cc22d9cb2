"""Binding every page to the app: extensions, hooks, areas."""

from __future__ import annotations

from flask import Flask, request
from flask_login import current_user

from portal import extensions
from portal.adapters.loading import load
from portal.domain.spec import brand_name
from portal.settings import Settings
from portal.web import assets, errors, headers, health, htmx, labels, locale, navigation, security, tracing

#: One line an area; each module offers `blueprint`.
AREAS = (
    "portal.web.account.views:blueprint",
    "portal.web.authorities:blueprint",
    "portal.web.certificates.views:blueprint",
    "portal.web.challenges:blueprint",
    "portal.web.checkout.views:blueprint",
    "portal.web.hosting.views:blueprint",
    "portal.web.operator.views:blueprint",
    "portal.web.validation.views:blueprint",
)


def limiter_storage(redis_url: str) -> str:
    """The address of Redis as `limits` wants it."""
    return "redis+" + redis_url if redis_url.startswith("unix:") else redis_url


def _configure(app: Flask, settings: Settings) -> None:
    app.config.setdefault("CSP_FORM_ACTION", ())
    app.config.update(
        RATELIMIT_STORAGE_URI=limiter_storage(settings.redis_url),
        RATELIMIT_STORAGE_OPTIONS={"socket_connect_timeout": 1, "socket_timeout": 1},
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        RATELIMIT_KEY_PREFIX="portal-limit",
        RATELIMIT_HEADERS_ENABLED=False,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def _template_globals(app: Flask) -> None:
    def found() -> list[navigation.Entry]:
        return navigation.entries(current_user.is_operator, current_user.organisation is not None)

    def home() -> str:
        return navigation.home_url(current_user.is_operator)

    def here() -> str:
        return request.full_path.rstrip("?") if request.method == "GET" else "/"

    app.jinja_env.globals.update(
        navigation=found,
        current_entry=navigation.current,
        home_url=home,
        here=here,
        face=labels.face,
        label=labels.label,
        progress=labels.progress,
        brand_name=brand_name,
    )


def register(app: Flask) -> None:
    """Make a core app into the whole portal."""
    settings: Settings = app.extensions["settings"]
    _configure(app, settings)
    tracing.register(app)
    for part in (headers, htmx, assets, locale, errors, security):
        part.register(app)
    extensions.babel.init_app(
        app, locale_selector=locale.select_locale, timezone_selector=locale.select_timezone
    )
    extensions.csrf.init_app(app)
    extensions.htmx.init_app(app)
    extensions.limiter.init_app(app)
    _template_globals(app)
    health.register(app)
    for name in AREAS:
        app.register_blueprint(load(name))

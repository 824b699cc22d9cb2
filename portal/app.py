"""Putting the portal together: extensions, pages, error pages, security headers."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import timedelta

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from whitenoise import WhiteNoise

from portal import extensions, logs
from portal.adapters.key_vault import KeyVault
from portal.database import configure_engine, engine_options
from portal.queue import silent
from portal.settings import MAX_UPLOAD_BYTES, Settings, from_env, parse_master_keys
from portal.web.messages import message_for

#: What a form may carry beside its files.
_FORM_OVERHEAD = 64 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """A whole portal for these settings (by default those of the environment). Connects to nothing yet."""
    settings = settings or from_env()
    logs.configure(settings.log_json)
    app = create_core(settings)
    from portal.web import pages

    pages.register(app)
    return app


def create_core(settings: Settings, with_redis: bool = True) -> Flask:
    """The app without pages: what workers and commands need. Without Redis nothing of it or of RQ is even loaded."""
    app = Flask("portal", static_url_path="/static")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        MAX_CONTENT_LENGTH=MAX_UPLOAD_BYTES + _FORM_OVERHEAD,
        MAX_FORM_MEMORY_SIZE=MAX_UPLOAD_BYTES + _FORM_OVERHEAD,
        SESSION_COOKIE_NAME="__Host-session" if settings.secure_cookies else "session",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=14),
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
        WTF_CSRF_TIME_LIMIT=None,
        BABEL_DEFAULT_LOCALE=settings.default_locale,
        BABEL_DEFAULT_TIMEZONE=settings.default_timezone,
        BABEL_TRANSLATION_DIRECTORIES="translations",
    )
    app.extensions["settings"] = settings
    app.extensions["vault"] = make_vault(settings)
    _connect_redis(app, settings, with_redis)
    extensions.db.init_app(app)
    extensions.migrate.init_app(app, extensions.db, directory=f"{app.root_path}/migrations")
    extensions.babel.init_app(app)
    app.extensions["explain"] = message_for
    with app.app_context():
        configure_engine(extensions.db.engine)
    _behind_proxies(app, settings)
    return app


def _connect_redis(app: Flask, settings: Settings, with_redis: bool) -> None:
    if not with_redis:
        app.extensions["ring"] = silent
        return
    from portal import doorbell

    app.extensions["redis"] = doorbell.own_connection(settings)
    app.extensions["ring"] = doorbell.ring


def _never_sniffed(headers: MutableMapping[str, str], _path: str, _url: str) -> None:
    """Static files do not pass the hooks that pages pass."""
    headers["X-Content-Type-Options"] = "nosniff"


def _behind_proxies(app: Flask, settings: Settings) -> None:
    count = settings.trusted_proxies
    if count:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    app.wsgi_app = WhiteNoise(  # type: ignore[method-assign]
        app.wsgi_app,
        root=f"{app.root_path}/static",
        prefix="static/",
        max_age=31_536_000,
        allow_all_origins=False,
        add_headers_function=_never_sniffed,
    )


def make_vault(settings: Settings) -> KeyVault:
    """The vault for these settings; it follows a rotation of keys that are kept in a file."""
    path = settings.master_keys_file
    return KeyVault(
        settings.master_keys, (lambda: parse_master_keys(path.read_text("utf-8"))) if path else None
    )

"""What every response says to browsers: content security, framing, referrers, caching."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, current_app, request
from flask.sessions import SecureCookieSessionInterface
from flask_login import current_user

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


def content_security_policy() -> str:
    """The policy; app.config["CSP_FORM_ACTION"] lists origins that a form may end up at (a payment page)."""
    return " ".join([_POLICY, *current_app.config.get("CSP_FORM_ACTION", ())])


def _add_headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", content_security_policy())
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
    if request.is_secure:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    # What is public for everybody is so for whoever is logged in; their session is not even looked at.
    if not response.cache_control.public and current_user and current_user.is_authenticated:
        headers["Cache-Control"] = "no-store"
    return response


class SessionsApartFromPublic(SecureCookieSessionInterface):
    """No response that caches may give to anybody carries somebody's refreshed session cookie."""

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        """As Flask does, for all other responses."""
        if session.modified or not response.cache_control.public:
            super().save_session(app, session, response)


def register(app: Flask) -> None:
    """Set the headers on every response."""
    app.session_interface = SessionsApartFromPublic()
    app.after_request(_add_headers)

"""Language, theme, and the organisation being worked in: small switches that come back to the same page."""

from __future__ import annotations

from flask import Response, current_app, request
from flask_login import current_user, login_required

from portal.extensions import db
from portal.services import accounts
from portal.web import security
from portal.web.account.blueprint import blueprint
from portal.web.assets import THEMES
from portal.web.htmx import go_to
from portal.web.locale import COOKIE, LOCALES

_YEAR = 31_536_000


@blueprint.post("/preferences")
def preferences() -> Response:
    """Keep the choice in this browser, and the language with the user as well."""
    response = go_to(security.safe_next(request.form.get("next"), "/"))
    chosen, theme = request.form.get("locale", ""), request.form.get("theme", "")
    if chosen in LOCALES:
        _remember(response, COOKIE, chosen)
        if current_user.is_authenticated:
            accounts.set_locale(db.session, current_user.id, chosen)
    if theme in THEMES:
        _remember(response, "theme", theme)
    return response


def _remember(response: Response, name: str, value: str) -> None:
    is_secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(name, value, max_age=_YEAR, secure=is_secure, httponly=True, samesite="Lax")


@blueprint.post("/organisations/switch")
@login_required
def switch() -> Response:
    """Work in another of one's organisations from now on."""
    security.work_in(request.form.get("organisation_id", ""))
    return go_to("/")

"""One's own settings: language, time zone, password, log-ins."""

from __future__ import annotations

from flask import Response, flash, url_for
from flask_babel import gettext as _
from flask_login import current_user, login_required

from portal.domain.errors import DomainError
from portal.extensions import db
from portal.services import accounts, password_changes, sessions
from portal.web import security
from portal.web.account.blueprint import blueprint, limit_failures, show_refusal
from portal.web.account.forms import ChangePasswordForm, ProfileForm
from portal.web.clock import now
from portal.web.htmx import go_to, render


@blueprint.route("/account/profile", methods=["GET", "POST"])
@login_required
def profile() -> Response:
    """Language and time zone."""
    form = ProfileForm(obj=current_user)
    form.offer_timezones()
    if form.validate_on_submit():
        accounts.update_profile(
            db.session, current_user.id, locale=form.locale.data, timezone=form.timezone.data
        )
        flash(_("Saved."), "ok")
        return go_to(url_for("account.profile"))
    return render("account/profile.html", status=422 if form.is_submitted() else 200, form=form)


@blueprint.route("/account/security", methods=["GET", "POST"], endpoint="security")
@login_required
@limit_failures("15 per hour", "15 per hour")
def security_page() -> Response:
    """Change the password; see and end log-ins."""
    visitor = security.current_visitor()
    form = ChangePasswordForm()
    if form.validate_on_submit() and _change(form):
        flash(_("The password is changed. Every other log-in has been ended."), "ok")
        return go_to(url_for("account.security"))
    rows = sessions.live_sessions(db.session, visitor.id, now())
    status = 422 if form.is_submitted() else 200
    return render(
        "account/security.html", status=status, form=form, rows=rows, here_id=visitor.login_session.id
    )


def _change(form: ChangePasswordForm) -> bool:
    visitor = security.current_visitor()
    try:
        password_changes.change(
            db.session,
            visitor.id,
            form.current.data,
            form.password.data,
            visitor.login_session.id,
            now(),
            security.client_ip(),
        )
    except DomainError as error:
        show_refusal(form, error)
        return False
    return True


@blueprint.post("/account/sessions/<session_id>/revoke")
@login_required
def revoke_session(session_id: str) -> Response:
    """End one of one's own log-ins."""
    sessions.revoke(db.session, current_user.id, session_id, now(), security.client_ip())
    flash(_("The log-in has been ended."), "ok")
    return go_to(url_for("account.security"))

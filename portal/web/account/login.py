"""Logging in and out, and a forgotten password."""

from __future__ import annotations

from flask import Response, flash, request
from flask_babel import gettext as _
from flask_login import current_user, login_required

from portal.domain.errors import DomainError
from portal.extensions import db
from portal.services import accounts, operators, password_changes
from portal.web import security
from portal.web.account.blueprint import blueprint, limit_failures, limit_sending, show_refusal
from portal.web.account.forms import LoginForm, NewPasswordForm, ResetRequestForm
from portal.web.clock import now
from portal.web.htmx import go_to, render
from portal.web.navigation import home_url


@blueprint.route("/login", methods=["GET", "POST"])
@limit_failures("15 per 15 minutes", "60 per 15 minutes")
def login() -> Response:
    """Whoever is logged in goes on at once."""
    form = LoginForm(next=request.args.get("next", ""))
    if current_user.is_authenticated:
        return go_to(security.safe_next(form.next.data, home_url(current_user.is_operator)))
    if form.validate_on_submit() and (response := _try(form)):
        return response
    status = 422 if form.is_submitted() else 200
    is_set_up = operators.has_operator(db.session)
    return render("account/login.html", status=status, form=form, is_set_up=is_set_up)


def _try(form: LoginForm) -> Response | None:
    try:
        user, token = accounts.log_in(
            db.session,
            form.email.data,
            form.password.data,
            user_agent=request.user_agent.string,
            ip=security.client_ip(),
            now=now(),
        )
    except DomainError as error:
        show_refusal(form, error)
        return None
    security.open_session(user, token)
    return go_to(security.safe_next(form.next.data, home_url(user.is_operator)))


@blueprint.post("/logout")
@login_required
def logout() -> Response:
    """The log-in is revoked, not just forgotten by this browser."""
    visitor = security.current_visitor()
    accounts.log_out(db.session, visitor.login_session, now(), security.client_ip())
    security.close_session()
    flash(_("You are logged out."), "ok")
    return go_to("/login")


@blueprint.route("/reset", methods=["GET", "POST"])
@limit_sending("5 per hour", "20 per hour")
def request_reset() -> Response:
    """The answer is the same whether the address is known or not."""
    form = ResetRequestForm()
    if form.validate_on_submit():
        password_changes.request_reset(db.session, form.email.data, now(), security.client_ip())
        return render("account/check_mail.html", purpose="reset", email=form.email.data)
    return render("account/request_reset.html", status=422 if form.is_submitted() else 200, form=form)


@blueprint.route("/reset/<token>", methods=["GET", "POST"])
@limit_failures("30 per hour", "30 per hour")
def reset(token: str) -> Response:
    """A used or old link says so."""
    user = password_changes.read_reset(db.session, token)
    form = NewPasswordForm()
    if form.validate_on_submit():
        try:
            password_changes.reset(db.session, token, form.password.data, now(), security.client_ip())
        except DomainError as error:
            show_refusal(form, error)
        else:
            flash(_("The new password is set. Please log in."), "ok")
            return go_to("/login")
    status = 422 if form.is_submitted() else 200
    return render("account/reset.html", status=status, form=form, email=user.email)

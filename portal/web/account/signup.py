"""Coming in: sign-up with mail confirmation, invitations, the first-run set-up."""

from __future__ import annotations

from flask import Response, abort, flash, request
from flask_babel import gettext as _
from flask_login import current_user

from portal.domain.errors import DomainError
from portal.extensions import db
from portal.services import accounts, invitations, operators, sessions
from portal.web import security
from portal.web.account.blueprint import blueprint, limit_failures, limit_sending, show_refusal
from portal.web.account.forms import NewPasswordForm, SetUpForm, SignUpForm
from portal.web.account.origin import locale_and_timezone
from portal.web.clock import now
from portal.web.htmx import go_to, render


@blueprint.route("/signup", methods=["GET", "POST"])
@limit_sending("5 per hour", "20 per hour")
def signup() -> Response:
    """The answer is the same whether the address is taken or not."""
    form = SignUpForm()
    if form.validate_on_submit() and _sign_up(form):
        return render("account/check_mail.html", purpose="confirm", email=form.email.data)
    return render("account/signup.html", status=422 if form.is_submitted() else 200, form=form)


def _sign_up(form: SignUpForm) -> bool:
    try:
        accounts.sign_up(
            db.session,
            email=form.email.data,
            password=form.password.data,
            organisation_name=form.organisation.data,
            now=now(),
            ip=security.client_ip(),
            **locale_and_timezone(),
        )
    except DomainError as error:
        show_refusal(form, error)
        return False
    return True


@blueprint.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> Response:
    """Opening the link changes nothing (mail scanners open links); the button does."""
    user = accounts.read_confirmation(db.session, token)
    if request.method == "POST":
        accounts.confirm_email(db.session, token, now(), security.client_ip())
        flash(_("Your address is confirmed. Please log in."), "ok")
        return go_to("/login")
    return render("account/confirm.html", email=user.email)


@blueprint.route("/invitations/<token>", methods=["GET", "POST"])
@limit_failures("60 per hour", "60 per hour")
def invitation(token: str) -> Response:
    """For whoever is logged in, for somebody with an account, or for somebody new."""
    invited = invitations.read(db.session, token, now())
    form = NewPasswordForm()
    if request.method == "POST":
        response = _join(token) if current_user.is_authenticated else _join_as_new(token, form)
        if response is not None:
            return response
    has_account = accounts.find_user(db.session, invited.email) is not None
    status = 422 if form.errors or form.form_errors else 200
    return render(
        "account/invitation.html", status=status, invited=invited, form=form, has_account=has_account
    )


def _join(token: str) -> Response:
    invited = invitations.accept(
        db.session, token, security.current_visitor().user, now(), security.client_ip()
    )
    security.enter(invited.organisation_id)
    flash(_("Welcome to %(organisation)s.", organisation=invited.organisation.name), "ok")
    return go_to("/")


def _join_as_new(token: str, form: NewPasswordForm) -> Response | None:
    if not form.validate_on_submit():
        return None
    ip = security.client_ip()
    try:
        user = invitations.accept_as_new(
            db.session, token, form.password.data, now=now(), ip=ip, **locale_and_timezone()
        )
    except DomainError as error:
        show_refusal(form, error)
        return None
    agent = request.user_agent.string
    security.open_session(user, sessions.open_for(db.session, user, user_agent=agent, ip=ip, now=now()))
    return go_to("/")


@blueprint.route("/setup", methods=["GET", "POST"])
@limit_failures("15 per hour", "15 per hour")
def setup() -> Response:
    """Exists until there is an operator. The code lies in the data folder: only the machine's owner can read it."""
    if operators.has_operator(db.session):
        abort(404)
    operators.set_up_code()
    form = SetUpForm()
    if form.validate_on_submit() and _set_up(form):
        flash(_("The operator account is ready. Please log in."), "ok")
        return go_to("/login")
    return render("account/setup.html", status=422 if form.is_submitted() else 200, form=form)


def _set_up(form: SetUpForm) -> bool:
    try:
        operators.set_up(
            db.session,
            code=form.code.data,
            email=form.email.data,
            password=form.password.data,
            now=now(),
            ip=security.client_ip(),
            **locale_and_timezone(),
        )
    except DomainError as error:
        show_refusal(form, error)
        return False
    return True

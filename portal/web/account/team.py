"""The organisation and who is in it. Everybody in it sees the page; owners change it."""

from __future__ import annotations

from flask import Response, abort, flash, url_for
from flask_babel import gettext as _
from flask_login import login_required

from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.account import Role
from portal.services import invitations, organisations
from portal.web import security
from portal.web.account.blueprint import blueprint, limit_sending, show_refusal
from portal.web.account.forms import InviteForm, OrganisationForm, RoleForm
from portal.web.clock import now
from portal.web.htmx import go_to, render
from portal.web.security import member_required, role_required


def _page(invite: InviteForm, rename: OrganisationForm, status: int = 200) -> Response:
    organisation = security.current_organisation()
    return render(
        "account/team.html",
        status=status,
        organisation=organisation,
        members=organisations.members(db.session, organisation.id),
        invitations=invitations.open_invitations(db.session, organisation.id, now()),
        invite=invite,
        rename=rename,
        roles=list(Role),
        is_owner=security.current_visitor().may(Role.OWNER),
    )


def _invite_form() -> InviteForm:
    form = InviteForm()
    form.offer_roles()
    return form


def _rename_form() -> OrganisationForm:
    return OrganisationForm(name=security.current_organisation().name)


def _back(message: str) -> Response:
    flash(message, "ok")
    return go_to(url_for("account.team"))


@blueprint.get("/account/team")
@member_required
def team() -> Response:
    """Members, open invitations, the organisation's name."""
    return _page(_invite_form(), _rename_form())


@blueprint.post("/account/team/invite")
@role_required(Role.OWNER)
@limit_sending("10 per hour", "60 per hour")
def team_invite() -> Response:
    """Send an invitation."""
    form, visitor = _invite_form(), security.current_visitor()
    if not form.validate_on_submit():
        return _page(form, _rename_form(), 422)
    where = security.current_organisation().id
    try:
        invitations.invite(
            db.session, where, form.email.data, form.role.data, visitor.user, now(), security.client_ip()
        )
    except DomainError as error:
        show_refusal(form, error)
        return _page(form, _rename_form(), 422)
    return _back(_("The invitation is on its way to %(email)s.", email=form.email.data))


@blueprint.post("/account/team/invitations/<invitation_id>/withdraw")
@role_required(Role.OWNER)
def team_withdraw(invitation_id: str) -> Response:
    """Close an open invitation."""
    where, who = security.current_organisation().id, security.current_visitor().id
    invitations.withdraw(db.session, where, invitation_id, who, now(), security.client_ip())
    return _back(_("The invitation is withdrawn."))


@blueprint.post("/account/team/members/<membership_id>/role")
@role_required(Role.OWNER)
def team_role(membership_id: str) -> Response:
    """Give a member another role."""
    form = RoleForm()
    if not form.validate_on_submit():
        abort(422)
    where, who = security.current_organisation().id, security.current_visitor().id
    organisations.change_role(
        db.session, where, membership_id, form.role.data, who, now(), security.client_ip()
    )
    return _back(_("The role is changed."))


@blueprint.post("/account/team/members/<membership_id>/remove")
@role_required(Role.OWNER)
def team_remove(membership_id: str) -> Response:
    """Take a member out."""
    where, who = security.current_organisation().id, security.current_visitor().id
    organisations.remove(db.session, where, membership_id, who, now(), security.client_ip())
    return _back(_("The member is removed."))


@blueprint.post("/account/team/rename")
@role_required(Role.OWNER)
def team_rename() -> Response:
    """Give the organisation another name."""
    form = _rename_form()
    if not form.validate_on_submit():
        return _page(_invite_form(), form, 422)
    where, who = security.current_organisation().id, security.current_visitor().id
    organisations.rename(db.session, where, form.name.data, who, now(), security.client_ip())
    return _back(_("Saved."))


@blueprint.route("/account/organisations/new", methods=["GET", "POST"])
@login_required
def new_organisation() -> Response:
    """For somebody who is in none, or who wants another one. Operators own nothing."""
    visitor = security.current_visitor()
    if visitor.is_operator:
        abort(404)
    form = OrganisationForm()
    if form.validate_on_submit():
        made = organisations.create(db.session, visitor.user, form.name.data, now(), security.client_ip())
        security.enter(made.id)
        return go_to("/")
    return render("account/new_organisation.html", status=422 if form.is_submitted() else 200, form=form)

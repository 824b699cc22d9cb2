"""Who is asking, for which organisation, and whether they may.

For views:  @member_required (any member), @role_required(Role.MANAGER), @operator_required;
current_visitor(), current_organisation(), require_role(role), client_ip(); portal.web.actors.current_actor().
A stranger gets 404 because every query goes through current_organisation().id; a viewer gets 403 for changes;
operator pages are 404 for everybody else.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from flask import Flask, Response, abort, flash, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user, login_user, logout_user

from portal.extensions import db, login
from portal.models.account import LoginSession, Membership, Organisation, Role, User
from portal.services import sessions
from portal.web.clock import now
from portal.web.htmx import go_to

P = ParamSpec("P")
R = TypeVar("R")

_RANKS = {Role.VIEWER: 0, Role.MANAGER: 1, Role.OWNER: 2}
_CHOSEN = "organisation_id"


class Visitor:
    """Somebody logged in: the user, the log-in, and the organisation they are working in (if any)."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, token: str, login_session: LoginSession) -> None:
        self._token = token
        self.login_session = login_session
        self.user: User = login_session.user
        self.id, self.email = self.user.id, self.user.email
        self.locale, self.timezone = self.user.locale, self.user.timezone
        self.is_operator = self.user.is_operator
        self.memberships = sorted(self.user.memberships, key=lambda one: (one.created_at, one.id))
        self.membership = self._working_in(session.get(_CHOSEN))

    def get_id(self) -> str:
        """What the session cookie holds: the token, not the user."""
        return self._token

    def _working_in(self, chosen: str | None) -> Membership | None:
        fitting = (one for one in self.memberships if one.organisation_id == chosen)
        return next(fitting, self.memberships[0] if self.memberships else None)

    @property
    def organisation(self) -> Organisation | None:
        return self.membership.organisation if self.membership else None

    @property
    def role(self) -> Role | None:
        return self.membership.role if self.membership else None

    def may(self, role: Role) -> bool:
        """Whether their role is at least this one."""
        return self.role is not None and _RANKS[self.role] >= _RANKS[role]

    @property
    def can_change(self) -> bool:
        """Whether buttons that change something are shown."""
        return self.may(Role.MANAGER)


def current_visitor() -> Visitor:
    """Whoever is logged in; behind a decorator of this module there is somebody."""
    return cast(Visitor, current_user)


def current_organisation() -> Organisation:
    """The organisation being worked in; 404 for somebody who is in none."""
    organisation = current_visitor().organisation if current_user.is_authenticated else None
    return organisation or abort(404)


def require_role(role: Role) -> None:
    """403 unless the visitor's role is at least this one."""
    if not current_visitor().may(role):
        abort(403)


def client_ip() -> str:
    """Where the request came from (trusted proxies are already resolved)."""
    return request.remote_addr or ""


def member_required(view: Callable[P, R]) -> Callable[P, R]:
    """The view is for members of an organisation; others log in first, or get 404."""

    @functools.wraps(view)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        if not current_user.is_authenticated:
            return cast(R, ask_to_log_in())
        current_organisation()
        return view(*args, **kwargs)

    return inside


def role_required(role: Role) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The view is for members whose role is at least this one; lower ones get 403."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            require_role(role)
            return view(*args, **kwargs)

        return member_required(inside)

    return decorate


def operator_required(view: Callable[P, R]) -> Callable[P, R]:
    """The view is for operators; it does not exist for other people, and somebody logged out logs in first."""

    @functools.wraps(view)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        if not current_user.is_authenticated:
            return cast(R, ask_to_log_in())
        if not current_visitor().is_operator:
            abort(404)
        return view(*args, **kwargs)

    return inside


def open_session(user: User, token: str) -> None:
    """Log this browser in with a fresh session cookie; nothing of the earlier one survives."""
    session.clear()
    session.permanent = True
    row = sessions.find_live(db.session, token, now())
    if row is None or row.user_id != user.id:
        abort(500)
    login_user(Visitor(token, row))


def close_session() -> None:
    """Log this browser out; the row is revoked by the caller."""
    logout_user()
    session.clear()


def work_in(organisation_id: str) -> None:
    """Choose the organisation to work in; 404 for one that the visitor is not in."""
    if organisation_id not in {one.organisation_id for one in current_visitor().memberships}:
        abort(404)
    enter(organisation_id)


def enter(organisation_id: str) -> None:
    """Work in this organisation from the next request on; the caller knows that the visitor is in it."""
    session[_CHOSEN] = organisation_id


def ask_to_log_in() -> Response:
    """To the log-in page, and back here afterwards (a form that was being sent is not repeated)."""
    flash(_("Please log in first."), "info")
    back = (
        request.full_path.rstrip("?")
        if request.method == "GET" and "HX-Request" not in request.headers
        else None
    )
    return go_to(url_for("account.login", next=back))


#: One slash, then anything but a second one; no backslash or control character, which browsers read as slashes.
_LOCAL = re.compile(r"/(?!/)[^\\\x00-\x20]*\Z")


def safe_next(target: str | None, otherwise: str) -> str:
    """A local path from a `next` parameter; anything that could lead elsewhere is dropped."""
    return target if target and _LOCAL.match(target) else otherwise


def register(app: Flask) -> None:
    """Flask-Login asks us who a session cookie's token belongs to."""
    login.init_app(app)
    login.session_protection = None  # the row is what is checked; a changed address does not end a log-in
    login.unauthorized_handler(ask_to_log_in)

    @login.user_loader
    def _load(token: str) -> Visitor | None:
        row = sessions.find_live(db.session, token, now())
        if row is None:
            return None
        sessions.touch(db.session, row, now())
        return Visitor(token, row)

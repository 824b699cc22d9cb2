"""Setting up how one name, or all names of a certificate, are proved; and looking at them now."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from portal.domain.errors import DomainError
from portal.domain.validation import NameReport
from portal.extensions import limiter
from portal.models.account import Role
from portal.services import validation_pages
from portal.services.validation_pages import Scope, Setup
from portal.web.actors import current_actor
from portal.web.clock import now
from portal.web.errors import STATUSES
from portal.web.htmx import go_to, render, wants_partial
from portal.web.messages import message_of
from portal.web.security import current_organisation, member_required, role_required, safe_next
from portal.web.validation.blueprint import blueprint
from portal.web.validation.forms import MethodForm
from portal.web.validation.panels import panel_for
from portal.web.validation.snippets import can_redirect, snippets

#: A look asks name servers and a CA: enough for people, too few to make us a hammer.
LOOKS = limiter.shared_limit("60 per minute", scope="validation-looks")


def _of_name(name: str) -> Scope:
    return Scope(current_organisation().id, name=name)


def _of_certificate(certificate_id: str) -> Scope:
    return Scope(current_organisation().id, certificate_id=certificate_id)


def _url(scope: Scope, endpoint: str = "") -> str:
    if scope.certificate_id:
        return url_for(f"validation.{endpoint}certificate", certificate_id=scope.certificate_id)
    return url_for(f"validation.{endpoint}name", name=scope.name)


def _page(
    setup: Setup, reports: Sequence[NameReport] = (), status: int = 200, refusal: DomainError | None = None
) -> Response:
    return render(
        "validation/setup.html",
        "validation/_panel.html" if refusal is None else None,
        status=status,
        setup=setup,
        panel=panel_for(setup, reports),
        refusal=message_of(refusal) if refusal else None,
        choose_url=_url(setup.scope, "choose_for_"),
        snippets=snippets(setup.portal_url),
        is_redirect=can_redirect(setup.portal_url),
    )


def _choose(scope: Scope) -> Response:
    form = MethodForm()
    if not form.validate_on_submit():
        return _page(validation_pages.read(scope, now()), status=422, refusal=DomainError("choice_missing"))
    try:
        validation_pages.choose(scope, form.chosen(), current_actor(), now(), form.credential.data)
    except DomainError as error:
        if error.code in ("not_found", "certificate_not_found", "dns_credential_not_found"):
            raise
        setup = validation_pages.read(scope, now())
        return _page(setup, status=STATUSES.get(error.code, 422), refusal=error)
    flash(_("The choice is kept. “Check now” shows whether it works."), "ok")
    return go_to(_url(scope))


def _check(scope: Scope) -> Response:
    setup, reports = validation_pages.check(scope, current_actor(), now())
    if wants_partial() or "next" not in request.form:
        return _page(setup, reports)
    return go_to(safe_next(request.form["next"], _url(scope)))


@blueprint.get("/names/<name>")
@member_required
def name(name: str) -> Response:
    """One name: how it stands, and the ways to prove it."""
    return _page(validation_pages.read(_of_name(name), now()))


@blueprint.get("/certificates/<certificate_id>")
@member_required
def certificate(certificate_id: str) -> Response:
    """All names of a certificate; htmx fetches the panel alone while a look is awaited."""
    return _page(validation_pages.read(_of_certificate(certificate_id), now()))


@blueprint.post("/names/<name>/method")
@role_required(Role.MANAGER)
def choose_for_name(name: str) -> Response:
    """Prove this name by another way from now on."""
    return _choose(_of_name(name))


@blueprint.post("/certificates/<certificate_id>/method")
@role_required(Role.MANAGER)
def choose_for_certificate(certificate_id: str) -> Response:
    """Prove every name of the certificate by one way from now on."""
    return _choose(_of_certificate(certificate_id))


@blueprint.post("/names/<name>/check")
@LOOKS
@role_required(Role.MANAGER)
def check_name(name: str) -> Response:
    """Look at this name now and tell every finding."""
    return _check(_of_name(name))


@blueprint.post("/certificates/<certificate_id>/check")
@LOOKS
@role_required(Role.MANAGER)
def check_certificate(certificate_id: str) -> Response:
    """Look at every name of the certificate: at once, or by a worker where it is hosted."""
    return _check(_of_certificate(certificate_id))

"""DNS credentials: listed, added once their provider takes them, checked, taken away."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.models.account import Role
from portal.services import credential_pages, dns_credentials
from portal.services.validation_pages import Scope
from portal.web.actors import current_actor
from portal.web.clock import now
from portal.web.errors import STATUSES
from portal.web.htmx import go_to, render, wants_partial
from portal.web.security import current_organisation, member_required, role_required
from portal.web.validation.blueprint import blueprint
from portal.web.validation.forms import CredentialForm, credential_form, tried_out
from portal.web.validation.setups import LOOKS, _url


def _scope() -> Scope | None:
    """The names that the credentials are added for, where they are added on the way to something."""
    name, certificate_id = request.values.get("name", ""), request.values.get("certificate", "")
    return Scope(current_organisation().id, name, certificate_id) if name or certificate_id else None


def _form_page(kind: str, form: CredentialForm, status: int = 200) -> Response:
    scope = _scope()
    return render(
        "validation/credential.html",
        "validation/_refusal.html",
        status=status,
        form=form,
        kind=kind,
        kinds=dns_credentials.kinds(),
        scope=scope,
        is_partial=wants_partial(),
        back_url=_url(scope) if scope else url_for("validation.credentials"),
    )


def _list(refusal: DomainError | AdapterError | None = None, status: int = 200) -> Response:
    return render(
        "validation/credentials.html",
        status=status,
        found=credential_pages.list_for(current_organisation().id),
        refusal=tried_out(refusal.code, refusal.params) if refusal else None,
        tried_out=tried_out,
    )


@blueprint.get("/credentials")
@member_required
def credentials() -> Response:
    """Every set of credentials with the names that need it; secrets are not among what is shown."""
    return _list()


@blueprint.get("/credentials/add")
@role_required(Role.MANAGER)
def credential_form_page() -> Response:
    """The form of one provider; the first one where none is asked for."""
    kind = request.args.get("kind") or next(iter(dns_credentials.kinds()))
    return _form_page(kind, credential_form(kind, formdata=None))


@blueprint.post("/credentials/add/<kind>")
@LOOKS
@role_required(Role.MANAGER)
def add_credential(kind: str) -> Response:
    """Try them out and keep them, or say what is wrong; what was filled in stays."""
    form = credential_form(kind)
    if not form.validate_on_submit():
        return _form_page(kind, form, 422)
    scope = _scope()
    try:
        row = credential_pages.add(form.title.data, kind, form.given(), scope, current_actor(), now())
    except (DomainError, AdapterError) as error:
        form.show_refusal(error)
        return _form_page(kind, form, STATUSES.get(error.code, 422))
    flash(_("%(name)s works and is kept. Its secrets are sealed.", name=row.name), "ok")
    return go_to(_url(scope) if scope else url_for("validation.credentials"))


@blueprint.post("/credentials/<credential_id>/check")
@LOOKS
@role_required(Role.MANAGER)
def check_credential(credential_id: str) -> Response:
    """Ask the provider whether it still takes them."""
    error = credential_pages.check(credential_id, current_actor(), now())
    if error is not None:
        return _list(error, 422)
    flash(_("The DNS provider takes these credentials."), "ok")
    return go_to(url_for("validation.credentials"))


@blueprint.post("/credentials/<credential_id>/remove")
@role_required(Role.MANAGER)
def remove_credential(credential_id: str) -> Response:
    """Forget them, unless a name still needs them."""
    try:
        dns_credentials.remove(credential_id, current_actor(), now())
    except DomainError as error:
        if error.code == "dns_credential_not_found":
            raise
        return _list(error, STATUSES.get(error.code, 422))
    flash(_("The credentials are forgotten here. Withdraw them at the DNS provider as well."), "ok")
    return go_to(url_for("validation.credentials"))

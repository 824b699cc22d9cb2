"""The key of coming renewals: a new one, the present one again, or the customer's own."""

from __future__ import annotations

from flask import Response, flash, url_for
from flask_babel import gettext as _

from portal.domain.errors import DomainError
from portal.models.account import Role
from portal.services import key_choosing
from portal.web.actors import current_actor
from portal.web.certificates.blueprint import blueprint
from portal.web.certificates.emergency_forms import KeyForm
from portal.web.clock import now
from portal.web.errors import STATUSES
from portal.web.htmx import go_to, render
from portal.web.security import current_organisation, role_required


def _page(seen: key_choosing.Situation, form: KeyForm, status: int = 200) -> Response:
    return render(
        "certificates/key_choice.html", status=status, seen=seen, form=form, certificate=seen.certificate
    )


@blueprint.get("/certificates/<certificate_id>/key-choice")
@role_required(Role.MANAGER)
def key_choice(certificate_id: str) -> Response:
    """What is chosen now, and what each choice means."""
    seen = key_choosing.look(certificate_id, current_organisation().id)
    hosting = seen.hosting
    form = KeyForm(
        formdata=None,
        source=hosting.key_source.value,
        key_type=hosting.key_type or "",
        csr=hosting.csr_pem or "",
    )
    form.offer(seen.certificate.key_type)
    return _page(seen, form)


@blueprint.post("/certificates/<certificate_id>/key-choice")
@role_required(Role.MANAGER)
def choose_key(certificate_id: str) -> Response:
    """Keep the choice, or say what cannot work."""
    seen = key_choosing.look(certificate_id, current_organisation().id)
    form = KeyForm()
    form.offer(seen.certificate.key_type)
    if not form.validate_on_submit():
        return _page(seen, form, 422)
    try:
        key_choosing.choose(certificate_id, form.chosen(), current_actor(), now())
    except DomainError as error:
        form.show_refusal(error)
        return _page(seen, form, STATUSES.get(error.code, 422))
    flash(_("The choice holds for every renewal whose key is not made yet."), "ok")
    return go_to(url_for("certificates.show", certificate_id=certificate_id))

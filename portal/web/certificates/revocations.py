"""Revoking a certificate, and what goes with it: cancelling its renewal, replacing one whose key leaked."""

from __future__ import annotations

from flask import Response, flash, url_for
from flask_babel import gettext as _

from portal.domain.errors import DomainError
from portal.domain.revocation import RevocationReason, RevocationState
from portal.models.account import Role
from portal.services import renewing, renewing_one, revoking
from portal.web.actors import current_actor
from portal.web.certificates.blueprint import blueprint
from portal.web.certificates.emergency_forms import RevokeForm
from portal.web.clock import now
from portal.web.errors import STATUSES
from portal.web.htmx import go_to, render
from portal.web.messages import message_of
from portal.web.security import current_organisation, current_visitor, role_required


def _page(certificate_id: str, form: RevokeForm, status: int = 200) -> Response:
    seen = revoking.outlook(certificate_id, current_organisation().id, now())
    return render(
        "certificates/revoke.html",
        status=status,
        seen=seen,
        form=form,
        certificate=seen.certificate,
        leaked=str(RevocationReason.KEY_COMPROMISE.value),
    )


def _back(certificate_id: str, message: str) -> Response:
    flash(message, "ok")
    return go_to(url_for("certificates.show", certificate_id=certificate_id))


@blueprint.get("/certificates/<certificate_id>/revoke")
@role_required(Role.MANAGER)
def revocation(certificate_id: str) -> Response:
    """What revoking would mean, and the form."""
    return _page(certificate_id, RevokeForm(formdata=None))


@blueprint.post("/certificates/<certificate_id>/revoke")
@role_required(Role.MANAGER)
def revoke(certificate_id: str) -> Response:
    """Revoke, or say why not."""
    form = RevokeForm()
    if not form.validate_on_submit():
        return _page(certificate_id, form, 422)
    try:
        found = revoking.revoke(certificate_id, form.chosen(), current_actor(), now())
    except DomainError as error:
        if error.code == "certificate_not_found":
            raise
        form.refuse(message_of(error))
        return _page(certificate_id, form, STATUSES.get(error.code, 422))
    if found.state is RevocationState.AWAITING:
        return _back(
            certificate_id, _("A new certificate is on its way. Once it is live, this one is revoked.")
        )
    return _back(certificate_id, _("The CA is being asked to revoke this certificate."))


@blueprint.post("/certificates/<certificate_id>/revoke/now")
@role_required(Role.MANAGER)
def revoke_now(certificate_id: str) -> Response:
    """Do not wait for the replacement any longer."""
    revoking.proceed(certificate_id, current_actor(), now())
    return _back(certificate_id, _("The CA is being asked to revoke this certificate."))


@blueprint.post("/certificates/<certificate_id>/replace")
@role_required(Role.MANAGER)
def replace(certificate_id: str) -> Response:
    """Replace one that was bought elsewhere and whose key leaked."""
    revoking.replace(certificate_id, current_actor(), now())
    return _back(certificate_id, _("A new certificate with a new key is on its way."))


@blueprint.post("/renewals/<renewal_id>/cancel")
@role_required(Role.MANAGER)
def cancel_renewal(renewal_id: str) -> Response:
    """Take back a renewal that has not begun."""
    organisation_id = current_organisation().id
    renewal = renewing.get_renewal(renewal_id, organisation_id)
    renewing.cancel(renewal_id, current_visitor().id, now(), organisation_id)
    return _back(renewal.predecessor_id, _("The renewal is cancelled. The certificate ends when it expires."))


@blueprint.post("/certificates/<certificate_id>/schedule")
@role_required(Role.MANAGER)
def schedule_renewal(certificate_id: str) -> Response:
    """Have a renewal that was taken back after all."""
    renewing_one.schedule_again(certificate_id, current_actor(), now())
    return _back(certificate_id, _("The renewal waits for its day again."))

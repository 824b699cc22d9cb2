"""One certificate: its facts, its renewal, where it is served; and the renewal alone, for polling."""

from __future__ import annotations

from flask import Response, flash, url_for
from flask_babel import gettext as _

from portal.domain.errors import DomainError
from portal.models.account import Role
from portal.services import certificate_pages, deploying, renewing, timelines
from portal.web.certificates import emergency_forms, steps
from portal.web.certificates.blueprint import blueprint
from portal.web.clock import now
from portal.web.htmx import go_to, render
from portal.web.security import current_organisation, current_visitor, member_required, role_required


@blueprint.get("/certificates/<certificate_id>")
@member_required
def show(certificate_id: str) -> Response:
    """The page of a certificate."""
    found = certificate_pages.read(certificate_id, current_organisation().id, now())
    return render(
        "certificates/show.html",
        found=found,
        trail=steps.trail,
        certificate=found.certificate,
        key_words=emergency_forms.key_words,
    )


@blueprint.get("/renewals/<renewal_id>/timeline")
@member_required
def timeline(renewal_id: str) -> Response:
    """The timeline of a renewal, fetched every two seconds until it is over."""
    renewal = timelines.find_renewal(renewal_id, current_organisation().id)
    if renewal is None:
        raise DomainError("renewal_not_found")
    found = timelines.of(renewal, now())
    return render("certificates/_timeline.html", timeline=found, trail=steps.trail)


@blueprint.post("/renewals/<renewal_id>/start")
@role_required(Role.MANAGER)
def start_renewal(renewal_id: str) -> Response:
    """Renew now, or try again now."""
    organisation_id = current_organisation().id
    renewing.start_now(renewal_id, current_visitor().id, "customer", now(), organisation_id)
    flash(_("The renewal is on its way."), "ok")
    renewal = renewing.get_renewal(renewal_id, organisation_id)
    return go_to(url_for("certificates.show", certificate_id=renewal.predecessor_id))


@blueprint.post("/certificates/<certificate_id>/deployments/<deployment_id>/retry")
@role_required(Role.MANAGER)
def retry_deployment(certificate_id: str, deployment_id: str) -> Response:
    """Try a deployment again now."""
    deploying.retry(deployment_id, current_visitor().id, now(), current_organisation().id)
    flash(_("The deployment is tried again."), "ok")
    return go_to(url_for("certificates.show", certificate_id=certificate_id))

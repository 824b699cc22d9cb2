"""Uploading a certificate that was bought elsewhere, and confirming its specification."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from werkzeug.exceptions import RequestEntityTooLarge

from portal.domain.errors import DomainError
from portal.models.account import Role
from portal.models.certificate import Certificate
from portal.services import catalogue, certificates, uploading
from portal.settings import MAX_UPLOAD_BYTES
from portal.web.actors import current_actor
from portal.web.certificates.blueprint import blueprint
from portal.web.certificates.forms import SpecForm, UploadForm
from portal.web.clock import now
from portal.web.errors import STATUSES
from portal.web.htmx import go_to, render
from portal.web.security import current_organisation, role_required

#: A body that is too large is read away up to here, so that the browser gets to see the answer.
MOST_DRAINED = 32 * 1024 * 1024


def _form_page(form: UploadForm, status: int = 200, duplicate_url: str | None = None) -> Response:
    return render(
        "certificates/upload.html",
        "certificates/_upload_form.html",
        status,
        form=form,
        duplicate_url=duplicate_url,
        most_kib=MAX_UPLOAD_BYTES // 1024,
    )


@blueprint.get("/certificates/upload")
@role_required(Role.MANAGER)
def upload_form() -> Response:
    """The empty form."""
    return _form_page(UploadForm())


@blueprint.post("/certificates/upload")
@role_required(Role.MANAGER)
def upload() -> Response:
    """Check and store, or show the form again with the reason and all that was typed but the key."""
    form = UploadForm()
    try:
        certificate = uploading.store(form.read(), current_actor(), now())
    except DomainError as error:
        form.show_refusal(error)
        known = error.params.get("certificate_id")
        duplicate_url = url_for("certificates.show", certificate_id=known) if known else None
        return _form_page(form, STATUSES.get(error.code, 422), duplicate_url)
    flash(_("%(name)s has been uploaded.", name=certificate.name), "ok")
    page = "certificates.show" if certificate.spec else "certificates.specification"
    return go_to(url_for(page, certificate_id=certificate.id))


@blueprint.errorhandler(RequestEntityTooLarge)
def too_large(_error: RequestEntityTooLarge) -> Response:
    """The body was refused unread: an empty form with the reason."""
    _drain()
    form = UploadForm(formdata=None)
    form.show_refusal(DomainError("upload_too_large", kib=MAX_UPLOAD_BYTES // 1024))
    return _form_page(form, 413)


def _drain() -> None:
    """A server that closes with unread data makes browsers show an error of their own instead of ours."""
    left = min(request.content_length or 0, MOST_DRAINED)
    stream = request.environ["wsgi.input"]
    while left > 0 and (part := stream.read(min(left, 65_536))):
        left -= len(part)


def _specification_page(certificate: Certificate, form: SpecForm, status: int = 200) -> Response:
    return render("certificates/specification.html", status=status, certificate=certificate, form=form)


def _spec_form(certificate: Certificate) -> SpecForm:
    form = SpecForm()
    form.offer(catalogue.choices_for(certificate, catalogue.products_on_sale()))
    return form


@blueprint.get("/certificates/<certificate_id>/specification")
@role_required(Role.MANAGER)
def specification(certificate_id: str) -> Response:
    """What the certificate says of its specification, and what is left to confirm."""
    certificate = certificates.get_certificate(certificate_id, current_organisation().id)
    if certificate.spec is not None:
        return go_to(url_for("certificates.show", certificate_id=certificate.id))
    return _specification_page(certificate, _spec_form(certificate))


@blueprint.post("/certificates/<certificate_id>/specification")
@role_required(Role.MANAGER)
def confirm_specification(certificate_id: str) -> Response:
    """Confirm it."""
    certificate = certificates.get_certificate(certificate_id, current_organisation().id)
    form = _spec_form(certificate)
    try:
        uploading.confirm_spec(certificate, form.chosen(), current_actor(), now())
    except DomainError as error:
        form.show_refusal(error)
        return _specification_page(certificate, form, STATUSES.get(error.code, 422))
    flash(_("The specification is confirmed."), "ok")
    return go_to(url_for("certificates.show", certificate_id=certificate.id))

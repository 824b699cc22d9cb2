"""Taking a certificate along: the public chain for everybody, the key for those who may change things."""

from __future__ import annotations

from flask import Response

from portal.models.account import Role
from portal.services import certificates
from portal.web.actors import current_actor
from portal.web.certificates.blueprint import blueprint
from portal.web.clock import now
from portal.web.security import current_organisation, member_required, role_required


def _attachment(content: str | bytes, name: str, mimetype: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/certificates/<certificate_id>/fullchain.pem")
@member_required
def download_chain(certificate_id: str) -> Response:
    """The certificate with its chain, without the key."""
    certificate = certificates.get_certificate(certificate_id, current_organisation().id)
    name = f"{certificates.file_stem(certificate)}.pem"
    return _attachment(certificate.fullchain_pem, name, "application/x-pem-file")


@blueprint.post("/certificates/<certificate_id>/key")
@role_required(Role.MANAGER)
def download_key(certificate_id: str) -> Response:
    """A zip with chain and key. A POST, so that no link can make a browser fetch it."""
    certificate = certificates.get_certificate(certificate_id, current_organisation().id)
    content = certificates.key_archive(certificate, current_actor(), now())
    return _attachment(content, f"{certificates.file_stem(certificate)}.zip", "application/zip")

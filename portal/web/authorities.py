"""What certificates of private CAs point to: revocation list and CA certificates. Public; no log-in, no session.

Media types: RFC 2585, 4; RFC 5280, 4.2.1.13 and 4.2.2.1.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from portal.extensions import limiter
from portal.services import publishing
from portal.web.clock import now

blueprint = Blueprint("authorities", __name__, url_prefix="/ca/<account_id>")

LIST = "application/pkix-crl"
CERTIFICATE = "application/pkix-cert"
#: Seconds for which caches may keep them. The list itself says until when it may be relied on.
LIST_KEPT = 900
CERTIFICATE_KEPT = 86_400


@blueprint.get("/crl")
@limiter.limit("600 per minute")
def crl(account_id: str) -> Response:
    """The revocation list."""
    return _published(publishing.crl(account_id, now()), LIST, LIST_KEPT)


@blueprint.get("/issuer.cer")
@limiter.limit("600 per minute")
def issuer(account_id: str) -> Response:
    """The issuing certificate."""
    return _published(publishing.issuer_certificate(account_id), CERTIFICATE, CERTIFICATE_KEPT)


@blueprint.get("/root.cer")
@limiter.limit("600 per minute")
def root(account_id: str) -> Response:
    """The root."""
    return _published(publishing.root_certificate(account_id), CERTIFICATE, CERTIFICATE_KEPT)


def _published(content: bytes, media_type: str, seconds: int) -> Response:
    response = Response(content, mimetype=media_type)
    response.cache_control.public = True
    response.cache_control.max_age = seconds
    response.add_etag()
    response.make_conditional(request)
    return response

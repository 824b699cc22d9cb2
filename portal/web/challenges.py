"""http-01: what a CA reads at /.well-known/acme-challenge/<token> (RFC 8555, 8.3)."""

from __future__ import annotations

from flask import Blueprint, Response, abort

from portal.services import validating

blueprint = Blueprint("challenges", __name__)


@blueprint.get("/.well-known/acme-challenge/<token>")
def answer(token: str) -> Response:
    """The key authorization of a challenge that is being validated, as plain text."""
    key_authorization = validating.find_response(token)
    if key_authorization is None:
        abort(404)
    return Response(key_authorization, mimetype="application/octet-stream")

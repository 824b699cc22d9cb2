"""http-01: what a CA reads at /.well-known/acme-challenge/<token> (RFC 8555, 8.3)."""

from __future__ import annotations

from flask import Blueprint, Response, abort

from portal.services import http_probes, validating

blueprint = Blueprint("challenges", __name__)


@blueprint.get("/.well-known/acme-challenge/<token>")
def answer(token: str) -> Response:
    """The key authorization of a challenge that is being validated, or the answer to a rehearsal, as plain text."""
    answered = http_probes.find_answer(token) or validating.find_response(token)
    if answered is None:
        abort(404)
    return Response(answered, mimetype="application/octet-stream")

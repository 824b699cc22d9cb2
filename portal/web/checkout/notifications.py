"""What gateways tell us. No log-in and no CSRF token here: the signature is the proof."""

from __future__ import annotations

from flask import Response, request

from portal.adapters.errors import AdapterError
from portal.domain.errors import DomainError
from portal.extensions import csrf, limiter
from portal.services import crediting
from portal.web.checkout.blueprint import blueprint
from portal.web.clock import now
from portal.web.errors import STATUSES
from portal.web.security import client_ip


@blueprint.post("/payments/<gateway>/notify")
@csrf.exempt
@limiter.limit("600 per minute")
def notify(gateway: str) -> Response:
    """Take a result in, and answer as the gateway wants it. A refusal is plain text without details."""
    try:
        answer = crediting.take_notification(gateway, request.form.to_dict(), client_ip(), now())
    except (AdapterError, DomainError) as error:
        return Response("refused\n", STATUSES.get(error.code, 400), mimetype="text/plain")
    return Response(answer, mimetype="text/plain")

"""The names of all certificates, and how each of them stands."""

from __future__ import annotations

from flask import Response, request, url_for

from portal.services import validation_pages
from portal.services.validation_pages import Place
from portal.web.clock import now
from portal.web.htmx import render
from portal.web.security import current_organisation, member_required
from portal.web.validation.blueprint import blueprint

#: Names that the list shows of one certificate; its own page shows all.
SHOWN_OF_ONE = 5


@blueprint.get("")
@member_required
def index() -> Response:
    """Names by certificate, hosted ones first."""
    text, place = request.args.get("q", "")[:100], Place.parse(request.args.get("after"))
    found = validation_pages.list_certificates(current_organisation().id, text, place, now())
    return render(
        "validation/index.html",
        "validation/_list.html",
        found=found,
        text=text,
        most=SHOWN_OF_ONE,
        first_url=url_for("validation.index", q=text or None) if place else None,
        next_url=url_for("validation.index", q=text or None, after=str(found.next)) if found.next else None,
    )

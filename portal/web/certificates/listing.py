"""The list of certificates: filter, search, pages."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for

from portal.models.certificate import Source
from portal.services.listing import Filter, Show, list_certificates
from portal.services.paging import Cursor
from portal.web.certificates.blueprint import blueprint
from portal.web.clock import now
from portal.web.htmx import render
from portal.web.security import current_organisation, member_required


def _filter() -> Filter:
    """What the address asks for; words that it does not know count as nothing asked."""
    shows, sources = {one.value: one for one in Show}, {one.value: one for one in Source}
    asked = request.args
    return Filter(
        show=shows.get(asked.get("show", ""), Show.ALL),
        text=asked.get("q", "")[:100],
        source=sources.get(asked.get("source", "")),
    )


@blueprint.get("/certificates")
@member_required
def index() -> Response:
    """Certificates, the soonest expiry first."""
    narrow, cursor = _filter(), Cursor.parse(request.args.get("after"))
    found = list_certificates(current_organisation().id, narrow, cursor, now())
    kept: dict[str, Any] = {"show": narrow.show.value, "q": narrow.text or None, "source": narrow.source}
    return render(
        "certificates/index.html",
        "certificates/_list.html",
        found=found,
        narrow=narrow,
        shows=list(Show),
        is_narrowed=narrow != Filter(source=narrow.source),
        first_url=url_for("certificates.index", **kept) if cursor else None,
        next_url=url_for("certificates.index", **kept, after=str(found.next)) if found.next else None,
    )

"""概览: counters, what needs the customer, what is being renewed."""

from __future__ import annotations

from flask import Response, render_template

from portal.services import overview as reading
from portal.services.overview import CAP
from portal.web.certificates.blueprint import blueprint
from portal.web.clock import now
from portal.web.htmx import render
from portal.web.security import current_organisation, member_required


def counted(value: int) -> str:
    """A counter's value; "9999+" where it was not counted any further."""
    return f"{CAP}+" if value > CAP else str(value)


blueprint.add_app_template_filter(counted)


@blueprint.get("/")
@member_required
def overview() -> Response:
    """The page that people land on."""
    organisation_id, moment = current_organisation().id, now()
    return render(
        "certificates/overview.html",
        counters=reading.counters(organisation_id, moment),
        waiting=reading.waiting(organisation_id, moment),
        in_flight=reading.in_flight(organisation_id, moment),
        has_any=reading.has_any(organisation_id),
        now=moment,
    )


@blueprint.get("/overview/counters")
@member_required
def overview_counters() -> str:
    """The counters alone."""
    counters = reading.counters(current_organisation().id, now())
    return render_template("certificates/_counters.html", counters=counters)


@blueprint.get("/overview/in-flight")
@member_required
def overview_in_flight() -> str:
    """Renewals in flight alone."""
    in_flight = reading.in_flight(current_organisation().id, now())
    return render_template("certificates/_in_flight.html", in_flight=in_flight)

"""The zone that customers delegate their validation records to: how it stands, and trying it out now."""

from __future__ import annotations

from flask import Response, flash, url_for
from flask_babel import gettext as _

from portal.adapters.errors import AdapterError
from portal.services import delegation_board, operator_acts
from portal.web.clock import now
from portal.web.htmx import go_to, render
from portal.web.messages import message_of
from portal.web.operator.blueprint import blueprint, operator
from portal.web.security import operator_required


def _page(error: AdapterError | None = None) -> Response:
    return render(
        "operator/delegation.html",
        status=422 if error else 200,
        zone=delegation_board.read(),
        refusal=message_of(error) if error else None,
    )


@blueprint.get("/delegation")
@operator_required
def delegation() -> Response:
    """The zone as it stands."""
    return _page()


@blueprint.post("/delegation/probe")
@operator_required
def probe_delegation() -> Response:
    """Write a trial record, read it back, take it away."""
    try:
        row = operator_acts.probe_delegation(operator(), now())
    except AdapterError as error:
        return _page(error)
    flash(_("%(zone)s works: a trial record was written, seen and taken away.", zone=row.zone), "ok")
    return go_to(url_for("operator.delegation"))

"""托管服务: what is hosted, choosing what to host, confirming it."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from portal.domain.errors import DomainError
from portal.domain.money import Money
from portal.models.account import Role
from portal.services import hosting, picking, validation_standings
from portal.services.paging import Cursor
from portal.web.clock import now
from portal.web.errors import STATUSES
from portal.web.htmx import render
from portal.web.messages import message_of
from portal.web.security import current_organisation, member_required, role_required

blueprint = Blueprint("hosting", __name__)


@blueprint.get("/hosting")
@member_required
def index() -> Response:
    """Every hosting with its next renewal beneath it."""
    cursor = Cursor.parse(request.args.get("after"))
    found = picking.list_hostings(current_organisation().id, cursor)
    return render(
        "hosting/index.html",
        found=found,
        first_url=url_for("hosting.index") if cursor else None,
        next_url=url_for("hosting.index", after=str(found.next)) if found.next else None,
    )


@blueprint.get("/hosting/add")
@role_required(Role.MANAGER)
def picker() -> Response:
    """Issued and uploaded certificates to choose from."""
    text = request.args.get("q", "")[:100]
    choices = picking.choices(current_organisation().id, text, now())
    return render("hosting/picker.html", "hosting/_picker_rows.html", choices=choices, text=text)


@blueprint.get("/hosting/confirm")
@role_required(Role.MANAGER)
def confirm() -> Response:
    """What hosting the chosen certificates costs and brings; the button pays."""
    return confirmation(request.args.getlist("certificate"))


def confirmation(certificate_ids: list[str], refusal: DomainError | None = None) -> Response:
    """The confirmation; where it cannot be turned on, the reason with the way on."""
    try:
        offers = hosting.offers(certificate_ids, current_organisation().id, now())
    except DomainError as error:
        if error.code in ("certificate_not_found", "no_certificate_chosen"):
            raise
        return refused(error)
    total = sum((offer.total for offer in offers), Money(0))
    standings = validation_standings.views_of([offer.certificate for offer in offers], now())
    return render(
        "hosting/confirm.html",
        status=STATUSES.get(refusal.code, 422) if refusal else 200,
        offers=offers,
        total=total,
        standings=standings,
        refusal=message_of(refusal) if refusal else None,
    )


def refused(error: DomainError) -> Response:
    """Why not, with a link to what it is about (the certificate, or the order that is open)."""
    return render(
        "hosting/refused.html",
        status=STATUSES.get(error.code, 422),
        reason=message_of(error),
        code=error.code,
        certificate_id=error.params.get("certificate_id"),
        number=error.params.get("number"),
    )

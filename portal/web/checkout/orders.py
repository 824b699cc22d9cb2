"""Orders: the list, one order, taking one back."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from portal.models.account import Role
from portal.services import buying
from portal.services.paging import Cursor
from portal.web.actors import current_actor
from portal.web.checkout.blueprint import blueprint
from portal.web.clock import now
from portal.web.htmx import go_to, render
from portal.web.security import current_organisation, member_required, role_required


@blueprint.get("/orders")
@member_required
def orders() -> Response:
    """Orders, the newest first."""
    cursor = Cursor.parse(request.args.get("after"))
    found = buying.list_orders(current_organisation().id, cursor)
    return render(
        "checkout/orders.html",
        found=found,
        first_url=url_for("checkout.orders") if cursor else None,
        next_url=url_for("checkout.orders", after=str(found.next)) if found.next else None,
    )


@blueprint.get("/orders/<number>")
@member_required
def order(number: str) -> Response:
    """One order, fit for printing."""
    found = buying.get_order(number, current_organisation().id)
    return render("checkout/order.html", "checkout/_order.html", order=found, now=now())


@blueprint.post("/orders/<number>/cancel")
@role_required(Role.MANAGER)
def cancel(number: str) -> Response:
    """Take an unpaid order back."""
    found = buying.get_order(number, current_organisation().id)
    buying.cancel(found, current_actor(), now())
    flash(_("The order is cancelled."), "ok")
    return go_to(url_for("checkout.order", number=number))

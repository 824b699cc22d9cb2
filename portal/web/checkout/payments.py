"""Paying: from 「支付」 to the gateway's page and back."""

from __future__ import annotations

from flask import Response, redirect, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from portal.domain.errors import DomainError
from portal.domain.order import OrderState
from portal.models.account import Role
from portal.models.order import Order
from portal.services import buying, paying
from portal.services.operations import settings
from portal.web.actors import current_actor
from portal.web.checkout.blueprint import blueprint
from portal.web.clock import now
from portal.web.hosting.views import confirmation, refused
from portal.web.htmx import go_to
from portal.web.security import current_organisation, member_required, role_required


@blueprint.post("/orders")
@role_required(Role.MANAGER)
def place() -> AnyResponse:
    """「支付」: the order, and off to the payment page. Clicked again, it is the same order."""
    certificate_ids = request.form.getlist("certificate")
    try:
        order = buying.place_order(certificate_ids, _seen_total(), current_actor(), now())
    except DomainError as error:
        return confirmation(certificate_ids, error) if error.code == "price_changed" else refused(error)
    return _to_gateway(order)


def _seen_total() -> int:
    text = request.form.get("total", "")
    return int(text) if text.isdecimal() and len(text) < 12 else -1


@blueprint.post("/orders/<number>/pay")
@role_required(Role.MANAGER)
def pay(number: str) -> AnyResponse:
    """Pay an order that is still open."""
    return _to_gateway(buying.get_order(number, current_organisation().id))


def _to_gateway(order: Order) -> AnyResponse:
    addresses = paying.Addresses(
        return_url=settings().base_url + url_for("checkout.back", number=order.number),
        notify_url=settings().base_url + url_for("checkout.notify", gateway=settings().payment_gateway),
    )
    subject = _("Certificate hosting, order %(number)s", number=order.number)
    return redirect(paying.start(order, addresses, subject, str(get_locale()), now()), 303)


@blueprint.get("/orders/<number>/return")
@member_required
def back(number: str) -> Response:
    """Where the gateway sends people back to: what they say counts nothing, so the gateway itself is asked."""
    order = buying.get_order(number, current_organisation().id)
    if order.state is OrderState.OPEN:
        paying.ask_now(order, now())
    return go_to(url_for("checkout.order", number=number))

"""Orders at CAs without an interface: what operators have to carry, and a page for each."""

from __future__ import annotations

from flask import Response, flash, url_for
from flask_babel import gettext as _

from portal.domain.errors import DomainError
from portal.domain.manual_order import CUSTOMERS_PART
from portal.services import manual_order_pages
from portal.services import manual_orders as acts
from portal.web.checklists import APPLICANT, ITEMS
from portal.web.clock import now
from portal.web.forms import BaseForm
from portal.web.htmx import go_to, render
from portal.web.messages import message_of
from portal.web.operator.blueprint import blueprint, operator
from portal.web.operator.forms import CertificateForm, ReferenceForm, RefusalForm
from portal.web.security import operator_required


@blueprint.get("/manual-orders")
@operator_required
def manual_orders() -> Response:
    """What is to be carried, and what is done."""
    return render(
        "operator/manual_orders.html",
        open_orders=manual_order_pages.list_open(),
        finished=manual_order_pages.list_finished(),
    )


@blueprint.get("/manual-orders/<order_id>")
@operator_required
def manual_order(order_id: str) -> Response:
    """One order: who must do what by when, and the forms for it."""
    return _page(order_id)


@blueprint.get("/manual-orders/<order_id>/request.csr")
@operator_required
def manual_order_request(order_id: str) -> Response:
    """The CSR as a file."""
    order = acts.get(order_id)
    response = Response(order.csr_pem, mimetype="application/pkcs10")
    name = order.names[0].replace("*", "_").strip(".")
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.csr")
    return response


@blueprint.post("/manual-orders/<order_id>/reference")
@operator_required
def take_manual_order(order_id: str) -> Response:
    """Note who carries it, and the CA's number."""
    form = ReferenceForm()
    if not form.validate_on_submit():
        return _page(order_id, 422, reference_form=form)
    acts.take(order_id, form.reference.data or "", operator(), now())
    return _back(order_id, _("Noted: you carry this order."))


@blueprint.post("/manual-orders/<order_id>/certificate")
@operator_required
def paste_manual_order(order_id: str) -> Response:
    """Check and take the certificate, or show the form again with the reason and all that was pasted."""
    form = CertificateForm()
    try:
        if not form.validate_on_submit():
            return _certificate_form(order_id, form)
        acts.paste(order_id, form.certificate.data or "", "", operator(), now())
    except DomainError as error:
        if error.code in ("not_found", "transition_refused"):
            raise
        form.refuse(message_of(error), "certificate")
        return _certificate_form(order_id, form)
    return _back(order_id, _("The certificate is accepted. Its renewal goes on."))


@blueprint.post("/manual-orders/<order_id>/refusal")
@operator_required
def refuse_manual_order(order_id: str) -> Response:
    """End the order with the CA's reason."""
    form = RefusalForm()
    if not form.validate_on_submit():
        return _page(order_id, 422, refusal_form=form)
    acts.refuse(order_id, form.words.data or "", operator(), now())
    return _back(order_id, _("The order is refused. The customer is told why."))


def _back(order_id: str, message: str) -> Response:
    flash(message, "ok")
    return go_to(url_for("operator.manual_order", order_id=order_id))


def _certificate_form(order_id: str, form: CertificateForm) -> Response:
    return _page(order_id, 422, "operator/_certificate_form.html", certificate_form=form)


def _page(order_id: str, status: int = 200, partial: str | None = None, **forms: BaseForm) -> Response:
    case = manual_order_pages.read(order_id)
    empty = {
        "reference_form": ReferenceForm(formdata=None, reference=case.order.reference),
        "certificate_form": CertificateForm(formdata=None),
        "refusal_form": RefusalForm(formdata=None),
    }
    words = {"items": ITEMS, "customers_part": CUSTOMERS_PART, "applicant_words": APPLICANT}
    return render("operator/manual_order.html", partial, status, case=case, **words, **(empty | forms))

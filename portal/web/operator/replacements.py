"""Renewing before time: everything of a CA that is in trouble, or one certificate."""

from __future__ import annotations

import math
from typing import Any

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from portal.domain.errors import DomainError
from portal.domain.replacement import ReplacementEvent
from portal.services import renewing_one, replacement_pages, replacing
from portal.web.clock import now
from portal.web.htmx import go_to, render
from portal.web.messages import message_for, message_of
from portal.web.operator import words
from portal.web.operator.blueprint import blueprint, operator
from portal.web.operator.replacement_forms import OneForm, ReplacementForm
from portal.web.security import operator_required


def _offered(form: ReplacementForm) -> ReplacementForm:
    form.offer(replacement_pages.accounts())
    return form


def _page(status: int = 200, **forms: Any) -> Response:
    found = replacement_pages.list_all(now())
    return render(
        "operator/replacements.html",
        "operator/_replacements.html" if request.method == "GET" else None,
        status=status,
        found=found,
        is_over=all(one.is_over for one in found),
        words=words,
        message_for=message_for,
        form=forms.get("form") or _offered(ReplacementForm(formdata=None, per_hour=60)),
        one_form=forms.get("one_form") or OneForm(formdata=None),
    )


def _back(message: str) -> Response:
    flash(message, "ok")
    return go_to(url_for("operator.replacements"))


@blueprint.get("/replacements")
@operator_required
def replacements() -> Response:
    """Mass replacements and how they stand; htmx asks again while one is under way."""
    return _page()


@blueprint.get("/replacements/preview")
@operator_required
def replacement_preview() -> Response:
    """How many it would be, and who has to help themselves; the button starts it."""
    form = _offered(ReplacementForm(formdata=request.args, meta={"csrf": False}))
    if not form.validate():
        return _preview(form, None, 422)
    try:
        return _preview(form, replacing.preview(form.ca.data, form.moment(now()), now()))
    except DomainError as error:
        form.refuse(message_of(error))
        return _preview(form, None, 422)


def _preview(form: ReplacementForm, seen: replacing.Preview | None, status: int = 200) -> Response:
    hours = math.ceil(seen.total / form.per_hour.data) if seen is not None else 0
    page, partial = "operator/replacement_preview.html", "operator/_replacement_preview.html"
    return render(page, partial, status=status, form=form, seen=seen, hours=hours)


@blueprint.post("/replacements")
@operator_required
def replacement_start() -> Response:
    """Start what the preview showed."""
    form, moment = _offered(ReplacementForm()), now()
    if not form.validate_on_submit():
        return _page(422, form=form)
    try:
        row = replacing.start(
            form.ca.data, form.moment(moment), form.per_hour.data, form.reason.data, operator().id, moment
        )
    except DomainError as error:
        form.refuse(message_of(error))
        return _page(422, form=form)
    return _back(_("The mass replacement has begun: %(count)s certificates.", count=row.total))


@blueprint.post("/replacements/<replacement_id>/<event>")
@operator_required
def replacement_steer(replacement_id: str, event: str) -> Response:
    """Pause, resume or cancel."""
    known = {one.value: one for one in ReplacementEvent if one is not ReplacementEvent.FINISH}
    if event not in known:
        raise DomainError("not_found")
    replacing.steer(replacement_id, known[event], operator().id, now())
    return _back(_("The mass replacement is told."))


@blueprint.post("/replacements/certificate")
@operator_required
def replacement_of_one() -> Response:
    """Renew one certificate now."""
    form = OneForm()
    if not form.validate_on_submit():
        return _page(422, one_form=form)
    certificate_id, note, who = form.certificate_id.data or "", form.note.data or "", operator().id
    try:
        if form.is_leaked.data:
            answer = renewing_one.replace_compromised(certificate_id, note, who, now())
        else:
            answer = renewing_one.renew(certificate_id, note, who, now(), is_forced=True)
    except DomainError as error:
        form.refuse(message_of(error), "certificate_id")
        return _page(422, one_form=form)
    if not answer.was_started:
        return _back(_("%(name)s: a renewal is under way already.", name=answer.certificate.name))
    return _back(_("%(name)s is being renewed.", name=answer.certificate.name))

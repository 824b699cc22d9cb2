"""CA accounts: whether each takes orders, what is left of its quota, and the switch that an operator has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, flash, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import StringField
from wtforms.validators import Optional

from portal.domain.errors import DomainError
from portal.services import ca_accounts, ca_standings, ca_switches
from portal.services.ca_standings import Standing
from portal.web.clock import now
from portal.web.forms import BaseForm, at_most, stripped
from portal.web.htmx import go_to, render
from portal.web.labels import Face
from portal.web.operator.blueprint import blueprint, operator
from portal.web.security import operator_required

STANDINGS: Mapping[Standing, Face] = {
    Standing.READY: Face(_l("takes orders"), "ok", "circle-check"),
    Standing.PAUSED: Face(_l("paused"), "warn", "player-pause"),
    Standing.OPEN: Face(_l("does not answer"), "bad", "alert-circle"),
    Standing.PROBING: Face(_l("being tried again"), "warn", "loader"),
    Standing.LIMITED: Face(_l("asked us to wait"), "warn", "clock"),
    Standing.UNREGISTERED: Face(_l("not registered yet"), "quiet", "clock"),
}

#: The limits that presets have; others are called what the settings call them.
LIMITS: Mapping[str, Any] = {
    "new_orders": _l("New orders"),
    "certificates_per_domain": _l("Certificates for a domain"),
    "certificates_per_names": _l("Certificates for the same names"),
    "failed_validations": _l("Failed domain checks of a name"),
}


class PauseForm(BaseForm):
    """Why an account is paused; it is kept with the act."""

    reason = StringField(_l("Reason"), [Optional(), at_most(200)], filters=[stripped])


def _context() -> dict[str, Any]:
    moment = now()
    return {
        "moment": moment,
        "accounts": ca_standings.list_all(moment),
        "standings": STANDINGS,
        "limits": LIMITS,
        "form": PauseForm(formdata=None),
    }


@blueprint.get("/ca-accounts")
@operator_required
def authorities() -> Response:
    """Every account as it stands; htmx asks again every ten seconds."""
    return render("operator/ca_accounts.html", "operator/_ca_accounts.html", **_context())


@blueprint.post("/ca-accounts/<account_id>/pause")
@operator_required
def pause_account(account_id: str) -> Response:
    """Give an account no more orders, and say why."""
    form = PauseForm()
    reason = (form.reason.data or "")[:200] if form.validate_on_submit() else ""
    account = ca_switches.pause(_name(account_id), operator().id, reason, now(), operator().ip_address)
    flash(_("%(name)s is paused. Renewals wait.", name=account.name), "ok")
    return go_to(url_for("operator.authorities"))


@blueprint.post("/ca-accounts/<account_id>/resume")
@operator_required
def resume_account(account_id: str) -> Response:
    """Give an account orders again."""
    account = ca_switches.resume(_name(account_id), operator().id, "", now(), operator().ip_address)
    flash(_("%(name)s gets work again.", name=account.name), "ok")
    return go_to(url_for("operator.authorities"))


def _name(account_id: str) -> str:
    """The name of an account. Raises DomainError("not_found")."""
    account = ca_accounts.find_by_id(account_id)
    if account is None:
        raise DomainError("not_found")
    return account.name

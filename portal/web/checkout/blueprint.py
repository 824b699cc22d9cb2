"""The blueprint; where its forms may lead a browser."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint
from flask.blueprints import BlueprintSetupState

blueprint = Blueprint("checkout", __name__)


@blueprint.record_once
def _allow_payment_page(state: BlueprintSetupState) -> None:
    """「支付」 is a form whose answer leads to the gateway: the content security policy has to name its origin."""
    address = urlsplit(state.app.extensions["settings"].payment_sandbox_url)
    if address.netloc:
        known = tuple(state.app.config.get("CSP_FORM_ACTION", ()))
        state.app.config["CSP_FORM_ACTION"] = (*known, f"{address.scheme}://{address.netloc}")

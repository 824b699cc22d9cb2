"""The blueprint of the operator's pages, and what their acts share."""

from __future__ import annotations

from flask import Blueprint

from portal.services.acting import Actor
from portal.web.security import client_ip, current_visitor

blueprint = Blueprint("operator", __name__, url_prefix="/operator")


def operator() -> Actor:
    """The operator, acting for no organisation."""
    return Actor(current_visitor().id, "", client_ip())

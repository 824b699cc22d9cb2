"""Whoever is logged in, as services want to know it."""

from __future__ import annotations

from portal.services.acting import Actor
from portal.web.security import client_ip, current_organisation, current_visitor


def current_actor() -> Actor:
    """The visitor, acting for the organisation they work in."""
    return Actor(current_visitor().id, current_organisation().id, client_ip())

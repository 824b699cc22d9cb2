"""The side bar: where one can go, and who sees it. An entry appears once its page exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import current_app, request, url_for
from flask_babel import lazy_gettext as _l


@dataclass(frozen=True)
class Entry:
    """`endpoint` is the page; `area` is the beginning of every endpoint that belongs to it."""

    label: Any
    icon: str
    endpoint: str
    areas: tuple[str, ...]

    @property
    def url(self) -> str:
        return url_for(self.endpoint)


CUSTOMER = (
    Entry(_l("Overview"), "layout-dashboard", "certificates.overview", ("certificates.overview",)),
    Entry(_l("Certificates"), "certificate", "certificates.index", ("certificates.",)),
    Entry(_l("Hosting"), "refresh-dot", "hosting.index", ("hosting.",)),
    Entry(_l("Domain validation"), "world-check", "validation.index", ("validation.",)),
    Entry(_l("Orders"), "receipt", "checkout.orders", ("checkout.",)),
    Entry(
        _l("Team & security"),
        "users",
        "account.team",
        ("account.team", "account.security", "account.profile"),
    ),
)

OPERATOR = (
    Entry(_l("Operator dashboard"), "activity", "operator.dashboard", ("operator.",)),
    Entry(
        _l("CA accounts"),
        "building",
        "operator.authorities",
        ("operator.authorities", "operator.pause_account", "operator.resume_account"),
    ),
    Entry(
        _l("Delegation zone"),
        "link",
        "operator.delegation",
        ("operator.delegation", "operator.probe_delegation"),
    ),
    Entry(_l("Manual orders"), "clipboard", "operator.manual_orders", ("operator.manual_order",)),
    Entry(_l("Replacement"), "refresh-alert", "operator.replacements", ("operator.replacement",)),
)


def entries(is_operator: bool, has_organisation: bool) -> list[Entry]:
    """What this person sees."""
    wanted = (CUSTOMER if has_organisation else ()) + (OPERATOR if is_operator else ())
    return [entry for entry in wanted if entry.endpoint in current_app.view_functions]


def current(found: list[Entry]) -> Entry | None:
    """The entry of the page being shown: the one with the longest area that fits."""
    endpoint = request.endpoint or ""
    fits = [(len(area), entry) for entry in found for area in entry.areas if endpoint.startswith(area)]
    return max(fits, key=lambda pair: pair[0])[1] if fits else None


def home_url(is_operator: bool) -> str:
    """Where someone lands after logging in."""
    wanted = ("operator.dashboard",) if is_operator else ()
    endpoints = (*wanted, "certificates.overview", "account.profile")
    return url_for(next(name for name in endpoints if name in current_app.view_functions))

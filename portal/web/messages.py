"""Every error code in the reader's language. Codes are alphabetical within their area; `params` fill placeholders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import g
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from portal.web.alarms import ALARMS, MENDING
from portal.web.dns_words import DNS
from portal.web.emergency_refusals import EMERGENCY
from portal.web.preflight_words import PREFLIGHT
from portal.web.refusals import BUYING, OPERATING, SETTING_UP, UPLOAD, WORK

#: Log-in, sign-up, members.
ACCOUNT: Mapping[str, Any] = {
    "already_member": _l("This person is a member already."),
    "current_password_wrong": _l("The current password is not right."),
    "email_taken": _l("This address cannot be used."),
    "email_unconfirmed": _l("Please confirm your address first: the link has been sent to you again."),
    "invitation_closed": _l("This invitation is no longer open. Ask for a new one."),
    "invitation_for_another": _l("This invitation was sent to another address."),
    "last_owner": _l("An organisation needs at least one owner."),
    "log_in_refused": _l("Address or password is not right."),
    "operator_exists": _l("An operator with this address exists already."),
    "password_breached": _l("This password is among the most used ones. Choose another."),
    "password_too_long": _l("A password has at most %(most)s characters."),
    "password_too_short": _l("A password has at least %(least)s characters."),
    "set_up_code_wrong": _l("The set-up code is not right."),
    "set_up_done": _l("The installation is set up already."),
    "token_invalid": _l("This link is not valid, or no longer."),
}

#: Reading certificates and keys.
CERTIFICATE: Mapping[str, Any] = {
    "broken_pem": _l("The certificate cannot be read: its PEM text is damaged."),
    "certificate_expired": _l("This certificate expired on %(on)s."),
    "chain_has_strangers": _l("The chain holds a certificate that does not belong to it."),
    "chain_too_long": _l("The chain is too long: at most %(most)s certificates."),
    "is_ca_certificate": _l("This is the certificate of a CA, not of a website."),
    "no_certificate": _l("No certificate found. It begins with “-----BEGIN CERTIFICATE-----”."),
    "no_leaf": _l("No website certificate found among the given ones."),
    "no_names": _l("This certificate names no domain."),
    "several_leaves": _l("More than one website certificate was given."),
    "unsupported_key_type": _l(
        "Only RSA keys (2048 to 4096 bits) and EC keys (P-256, P-384, P-521) can be hosted."
    ),
}

#: Turning hosting on.
HOSTING: Mapping[str, Any] = {
    "already_hosted": _l("This certificate is hosted already."),
    "certificate_replaced": _l("A newer certificate has taken over from this one."),
    "certificate_revoked": _l("This certificate was revoked."),
    "hosting_not_found": _l("There is no such hosting."),
    "window_not_open": _l(
        "Hosting can be turned on from %(opens_on)s, %(days)s days before the certificate expires."
    ),
}

#: What may befall any request.
GENERAL: Mapping[str, Any] = {
    "forbidden": _l("Your role does not allow this."),
    "not_found": _l("There is nothing here."),
    "transition_refused": _l("This is no longer possible: the state has changed meanwhile."),
}

AREAS: tuple[Mapping[str, Any], ...] = (
    ACCOUNT,
    CERTIFICATE,
    GENERAL,
    HOSTING,
    UPLOAD,
    BUYING,
    SETTING_UP,
    WORK,
    OPERATING,
    ALARMS,
    MENDING,
    PREFLIGHT,
    DNS,
    EMERGENCY,
)


def message_for(code: str, params: Mapping[str, Any] | None = None) -> str:
    """The sentence for an error code; an unknown one gives a general sentence with the request id."""
    for area in AREAS:
        if code in area:
            return _fill(str(area[code]), params or {})
    general: str = _(
        "This did not work (%(code)s). Request: %(request_id)s",
        code=code,
        request_id=g.get("request_id", "—"),
    )
    return general


def message_of(error: Any) -> str:
    """The sentence for a DomainError or an AdapterError."""
    return message_for(error.code, error.params)


def _fill(text: str, params: Mapping[str, Any]) -> str:
    try:
        return text % params
    except (KeyError, ValueError):
        return text

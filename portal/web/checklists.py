"""What CAs ask before they issue, in words: for operators what to do, for customers what to have ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l

from portal.domain.manual_order import CheckItem


class Item(NamedTuple):
    title: Any
    text: Any


ITEMS: Mapping[CheckItem, Item] = {
    CheckItem.HAND_IN: Item(
        _l("Hand in the request"),
        _l("Order on the CA's page with the request (CSR) below and the product named at the side."),
    ),
    CheckItem.CAA: Item(
        _l("CAA records"),
        _l("They must allow this CA. Look at every name; the CA checks again on the day it issues."),
    ),
    CheckItem.DOMAIN_CONTROL: Item(
        _l("Domain control"),
        _l("A DNS record or a mail to the domain's administrator: pass on what the CA asks for."),
    ),
    CheckItem.ORGANISATION: Item(
        _l("Organisation documents"),
        _l("Business licence or an extract of the register, not older than the CA allows."),
    ),
    CheckItem.ADDRESS: Item(
        _l("Registered address"),
        _l("As a public register names it; if it has changed, the register first."),
    ),
    CheckItem.LEGAL_EXISTENCE: Item(
        _l("Legal existence"),
        _l("Registration number, place of registration and business category, as the register has them."),
    ),
    CheckItem.OPERATIONS: Item(
        _l("Operational existence"),
        _l("Three years on the register, or a bank's or a lawyer's letter."),
    ),
    CheckItem.SIGNERS: Item(
        _l("Signer and approver"),
        _l("Two named people of the organisation who sign the agreement and approve the request."),
    ),
    CheckItem.CALL: Item(
        _l("Call back"),
        _l(
            "The CA calls the organisation at a number that it finds itself; somebody must know of the request."
        ),
    ),
    CheckItem.BRING_BACK: Item(
        _l("Bring the certificate back"),
        _l("Paste it below with its intermediate certificates. It is checked before anything is replaced."),
    ),
}

#: Parts of the applicant's details; others are shown by their own name.
APPLICANT: Mapping[str, Any] = {
    "organisation": _l("Organisation"),
    "unit": _l("Department"),
    "registration_number": _l("Registration number"),
    "business_category": _l("Business category"),
    "jurisdiction": _l("Place of registration"),
    "street": _l("Street"),
    "postal_code": _l("Postal code"),
    "locality": _l("City"),
    "province": _l("Province"),
    "country": _l("Country"),
    "contact": _l("Contact"),
    "phone": _l("Phone"),
    "email": _l("Mail address"),
}

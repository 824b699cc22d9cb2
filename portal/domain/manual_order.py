"""An order at a CA without an interface: operators carry it there and bring the certificate back."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from portal.domain.spec import ValidationType


class ManualOrderState(StrEnum):
    """PLACED: made, the CSR is not there yet. UNDER_REVIEW: an operator has the CSR to hand in (审核中)."""

    PLACED = "placed"
    UNDER_REVIEW = "under_review"
    ISSUED = "issued"
    REFUSED = "refused"


class ManualOrderEvent(StrEnum):
    SUBMIT = "submit"
    ISSUE = "issue"
    REFUSE = "refuse"


_S, _E = ManualOrderState, ManualOrderEvent

TRANSITIONS: Mapping[tuple[ManualOrderState, ManualOrderEvent], ManualOrderState] = {
    (_S.PLACED, _E.SUBMIT): _S.UNDER_REVIEW,
    (_S.UNDER_REVIEW, _E.ISSUE): _S.ISSUED,
    (_S.PLACED, _E.REFUSE): _S.REFUSED,
    (_S.UNDER_REVIEW, _E.REFUSE): _S.REFUSED,
}


class CheckItem(StrEnum):
    """What a CA wants before it issues (CA/B Forum: Baseline Requirements 3.2.2; EV Guidelines 3.2)."""

    HAND_IN = "hand_in"
    CAA = "caa"
    DOMAIN_CONTROL = "domain_control"
    ORGANISATION = "organisation"
    ADDRESS = "address"
    LEGAL_EXISTENCE = "legal_existence"
    OPERATIONS = "operations"
    SIGNERS = "signers"
    CALL = "call"
    BRING_BACK = "bring_back"


#: What the customer has a part in; everything else is the operator's alone.
CUSTOMERS_PART = frozenset(
    {
        CheckItem.DOMAIN_CONTROL,
        CheckItem.ORGANISATION,
        CheckItem.ADDRESS,
        CheckItem.LEGAL_EXISTENCE,
        CheckItem.OPERATIONS,
        CheckItem.SIGNERS,
        CheckItem.CALL,
    }
)

#: What the CA will ask, by validation type, in the order in which it usually does.
CHECKLISTS: Mapping[ValidationType, tuple[CheckItem, ...]] = {
    ValidationType.DV: (CheckItem.HAND_IN, CheckItem.CAA, CheckItem.DOMAIN_CONTROL, CheckItem.BRING_BACK),
    ValidationType.OV: (
        CheckItem.HAND_IN,
        CheckItem.CAA,
        CheckItem.DOMAIN_CONTROL,
        CheckItem.ORGANISATION,
        CheckItem.ADDRESS,
        CheckItem.CALL,
        CheckItem.BRING_BACK,
    ),
    ValidationType.EV: (
        CheckItem.HAND_IN,
        CheckItem.CAA,
        CheckItem.DOMAIN_CONTROL,
        CheckItem.LEGAL_EXISTENCE,
        CheckItem.ADDRESS,
        CheckItem.OPERATIONS,
        CheckItem.SIGNERS,
        CheckItem.CALL,
        CheckItem.BRING_BACK,
    ),
}

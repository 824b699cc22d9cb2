"""An order at a CA without an interface: operators carry it there and bring the certificate back."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


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

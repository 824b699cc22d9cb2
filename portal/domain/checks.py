"""What is looked at again and again while a certificate is hosted, so that trouble is known months ahead."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class CheckSubject(StrEnum):
    """ARI: the CA's suggested renewal window. VALIDATION: whether the names could be proved today."""

    ARI = "ari"
    VALIDATION = "validation"


class CheckState(StrEnum):
    ACTIVE = "active"
    ENDED = "ended"


class CheckEvent(StrEnum):
    END = "end"


TRANSITIONS: Mapping[tuple[CheckState, CheckEvent], CheckState] = {
    (CheckState.ACTIVE, CheckEvent.END): CheckState.ENDED,
}

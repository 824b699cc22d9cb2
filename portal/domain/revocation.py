"""Revoking certificates that were issued here, and noticing that one was revoked elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class RevocationReason(IntEnum):
    """Reason codes of RFC 5280, 5.3.1 that a subscriber may give (CA/B Forum BR 7.2.2)."""

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5


class RevocationState(StrEnum):
    """AWAITING: until the replacement is live everywhere. REQUESTED: the CA is being asked."""

    AWAITING = "awaiting"
    REQUESTED = "requested"
    REVOKED = "revoked"


class RevocationEvent(StrEnum):
    PROCEED = "proceed"
    REVOKE = "revoke"


TRANSITIONS: Mapping[tuple[RevocationState, RevocationEvent], RevocationState] = {
    (RevocationState.AWAITING, RevocationEvent.PROCEED): RevocationState.REQUESTED,
    (RevocationState.REQUESTED, RevocationEvent.REVOKE): RevocationState.REVOKED,
}


class CrlState(StrEnum):
    """A revocation list is read as long as a certificate in use names it."""

    ACTIVE = "active"
    ENDED = "ended"


class CrlEvent(StrEnum):
    END = "end"
    WATCH = "watch"


CRL_TRANSITIONS: Mapping[tuple[CrlState, CrlEvent], CrlState] = {
    (CrlState.ACTIVE, CrlEvent.END): CrlState.ENDED,
    # A new certificate names it.
    (CrlState.ENDED, CrlEvent.WATCH): CrlState.ACTIVE,
}

"""A deployment: bringing one certificate to one target, and seeing it served there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum


class CloudProduct(StrEnum):
    CDN = "cdn"
    WAF = "waf"
    DCDN = "dcdn"
    DDOS = "ddos"
    LIVE = "live"


class DeploymentState(StrEnum):
    """Named for what has been done. NOT_LIVE is bound and not seen; LEFT_ALONE was never ours to replace."""

    PENDING = "pending"
    UPLOADED = "uploaded"
    BOUND = "bound"
    READ_BACK = "read_back"
    LIVE = "live"
    NOT_LIVE = "not_live"
    SUPERSEDED = "superseded"
    LEFT_ALONE = "left_alone"


class DeploymentEvent(StrEnum):
    UPLOAD = "upload"
    BIND = "bind"
    READ_BACK = "read_back"
    SEE_LIVE = "see_live"
    MISS = "miss"
    REBIND = "rebind"
    SUPERSEDE = "supersede"
    LEAVE_ALONE = "leave_alone"


_S, _E = DeploymentState, DeploymentEvent

TRANSITIONS: Mapping[tuple[DeploymentState, DeploymentEvent], DeploymentState] = {
    (_S.PENDING, _E.UPLOAD): _S.UPLOADED,
    (_S.UPLOADED, _E.BIND): _S.BOUND,
    (_S.BOUND, _E.READ_BACK): _S.READ_BACK,
    (_S.READ_BACK, _E.SEE_LIVE): _S.LIVE,
    # Propagation time is over and the old certificate is still served: shown, told, and looked at again.
    (_S.READ_BACK, _E.MISS): _S.NOT_LIVE,
    (_S.NOT_LIVE, _E.SEE_LIVE): _S.LIVE,
    # The product says it holds another certificate than the one bound: bind again.
    (_S.BOUND, _E.REBIND): _S.UPLOADED,
    (_S.NOT_LIVE, _E.REBIND): _S.UPLOADED,
    (_S.LIVE, _E.REBIND): _S.UPLOADED,
    # The product serves somebody else's choice, not the predecessor: it is not ours to replace.
    (_S.PENDING, _E.LEAVE_ALONE): _S.LEFT_ALONE,
    # A newer certificate is on its way to the same target.
    (_S.PENDING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.UPLOADED, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.BOUND, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.READ_BACK, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.LIVE, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.NOT_LIVE, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.LEFT_ALONE, _E.SUPERSEDE): _S.SUPERSEDED,
}

#: Nothing more to do unless something changes.
SETTLED = frozenset({DeploymentState.LIVE, DeploymentState.SUPERSEDED, DeploymentState.LEFT_ALONE})

#: How long a product may take to bring a bound certificate to its edge before that is news.
PROPAGATION = timedelta(minutes=15)


def covers(names: tuple[str, ...], domain: str) -> bool:
    """Whether a certificate for `names` serves `domain` (a DNS name, or ".example.com" / "*.example.com")."""
    wanted = domain.lower().removeprefix("*").lstrip(".") if domain[:1] in "*." else domain.lower()
    is_wildcard = domain[:1] in "*."
    lowered = {name.lower() for name in names}
    if is_wildcard:
        return f"*.{wanted}" in lowered
    _, _, parent = wanted.partition(".")
    return wanted in lowered or f"*.{parent}" in lowered

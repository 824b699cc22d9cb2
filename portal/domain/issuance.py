"""Whether a certificate that a CA handed out is the one that was ordered (a chain of small checks)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from portal.domain.certificate import is_issued_by, read_facts, same_public_key
from portal.domain.errors import DomainError

#: CAs date certificates back to suit wrong clocks; ours may be behind theirs by this much.
CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Ordered:
    """What was asked for. clientAuth never is; whether it is taken where a CA adds it is the account's say."""

    names: tuple[str, ...]
    public_key: PublicKeyTypes
    may_have_client_auth: bool = True


Check = Callable[[Sequence[x509.Certificate], Ordered, datetime], str | None]


def _right_key(chain: Sequence[x509.Certificate], ordered: Ordered, _now: datetime) -> str | None:
    return None if same_public_key(chain[0].public_key(), ordered.public_key) else "issued_with_wrong_key"


def _right_names(chain: Sequence[x509.Certificate], ordered: Ordered, _now: datetime) -> str | None:
    missing = set(ordered.names) - set(read_facts(chain[0]).names)
    return "issued_without_name" if missing else None


def _valid_now(chain: Sequence[x509.Certificate], _ordered: Ordered, now: datetime) -> str | None:
    facts = read_facts(chain[0])
    return None if facts.not_before - CLOCK_SKEW <= now < facts.not_after else "issued_not_valid_now"


def _chain_holds(chain: Sequence[x509.Certificate], _ordered: Ordered, _now: datetime) -> str | None:
    links = pairwise(chain)
    return (
        None
        if len(chain) > 1 and all(is_issued_by(one, issuer) for one, issuer in links)
        else "issued_chain_broken"
    )


def _no_precertificate(chain: Sequence[x509.Certificate], _ordered: Ordered, _now: datetime) -> str | None:
    return "issued_precertificate" if read_facts(chain[0]).is_precertificate else None


def _no_client_auth(chain: Sequence[x509.Certificate], ordered: Ordered, _now: datetime) -> str | None:
    has_it = read_facts(chain[0]).has_client_auth
    return "issued_with_client_auth" if has_it and not ordered.may_have_client_auth else None


CHECKS: tuple[Check, ...] = (
    _no_precertificate,
    _right_key,
    _right_names,
    _valid_now,
    _chain_holds,
    _no_client_auth,
)


def check_issued(chain: Sequence[x509.Certificate], ordered: Ordered, now: datetime) -> None:
    """Raise DomainError with the first reason not to accept `chain` (leaf first); return if it is what was ordered."""
    for check in CHECKS:
        if (code := check(chain, ordered, now)) is not None:
            raise DomainError(code)

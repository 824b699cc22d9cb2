"""Proving domains: putting a CA's challenges where it will look, seeing them there, and taking them away again.

By which way a name is proved: `validation_routes`. What becomes of TXT records: `validation_records`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from portal.adapters.ca.base import Authorization, CaOrder, Challenge, ChallengeKind
from portal.adapters.dns.authority import is_published
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import ChallengeResponse, Renewal
from portal.models.validation import ValidationRecord
from portal.services import dns_access, validation_records, validation_routes
from portal.services.operations import leave_transaction
from portal.services.side_by_side import side_by_side
from portal.services.validation_routes import Routes


def present(renewal: Renewal, account: CaAccount, order: CaOrder, now: datetime) -> None:
    """Put the proof of every pending name in place. Safe to repeat. Raises AdapterError (see validation_routes).

    Names that the CA wants no proof of are looked at as well: another organisation may have proved them.
    """
    routes = validation_routes.load(renewal, account, order)
    for authorization in order.authorizations:
        validation_routes.check_bound(routes, authorization)
    chosen = [(one.name, validation_routes.choose(routes, one)) for one in _pending(order)]
    for _, challenge in chosen:
        if challenge.kind is ChallengeKind.HTTP_01:
            _present_over_http(renewal, challenge, now)
    in_dns = [(name, challenge) for name, challenge in chosen if challenge.kind is ChallengeKind.DNS_01]
    places = validation_routes.places(routes, [name for name, _ in in_dns])
    values = [challenge.dns_value for _, challenge in in_dns]
    validation_records.put_all(renewal, list(zip(places, values, strict=True)), now)


@dataclass(frozen=True)
class Proofs:
    """What has been put in place for an order's pending names, by authorization."""

    routes: Routes
    pending: tuple[Authorization, ...]
    records: Sequence[ValidationRecord]
    placed: Mapping[str, Challenge]

    def are_visible(self) -> bool:
        """Whether a CA would find every proof now: TXT records at the name servers of their zones.

        False where a proof was not put anywhere yet. Raises AdapterError("dns_unavailable") where nobody answers.
        """
        if len(self.placed) < len(self.pending):
            return False
        chosen = {one.dns_value for one in self.placed.values() if one.kind is ChallengeKind.DNS_01}
        looks = [
            (record.fqdn, record.value, dns_access.vantage(self.routes.resolver(record.method)))
            for record in self.records
            if record.value in chosen
        ]
        return all(side_by_side(lambda look: is_published(*look), looks))

    def to_answer(self) -> tuple[Challenge, ...]:
        """The challenges that the CA is to be told of, one for every pending name: that which was put in place, even if
        another method was chosen since. Raises AdapterError (see validation_routes).
        """
        return tuple(
            self.placed.get(one.url) or validation_routes.choose(self.routes, one) for one in self.pending
        )


def proofs_of(renewal: Renewal, account: CaAccount, order: CaOrder) -> Proofs:
    """What is in place for an order. Leaves no transaction open."""
    routes = validation_routes.load(renewal, account, order)
    records = _records(renewal, order)
    proofs = Proofs(routes, tuple(_pending(order)), records, _proofs(routes, order, records))
    leave_transaction()
    return proofs


def clear(renewal: Renewal, _account: CaAccount, _order: CaOrder | None = None) -> None:
    """Take every proof of a renewal away again, wherever it was put. Safe to repeat.

    A DNS provider that fails stops nothing: the record is noted, and housekeeping tries again.
    """
    db.session.execute(delete(ChallengeResponse).where(ChallengeResponse.renewal_id == renewal.id))
    leave_transaction()
    validation_records.take_away_all(renewal)


def find_response(token: str) -> str | None:
    """The key authorization to serve for an http-01 token."""
    return db.session.scalar(
        select(ChallengeResponse.key_authorization).where(ChallengeResponse.token == token)
    )


def _pending(order: CaOrder) -> list[Authorization]:
    return [one for one in order.authorizations if one.is_pending]


def _proofs(routes: Routes, order: CaOrder, records: Sequence[ValidationRecord]) -> Mapping[str, Challenge]:
    """By authorization: the challenge whose proof is in place; of two, that of the method which is chosen now."""
    if not (pending := _pending(order)):
        return {}
    tokens = [challenge.token for one in pending for challenge in one.challenges]
    query = select(ChallengeResponse.token).where(ChallengeResponse.token.in_(tokens))
    served = set(db.session.scalars(query))
    placed = {record.value for record in records}
    found: dict[str, Challenge] = {}
    for authorization in pending:
        there = [one for one in authorization.challenges if _is_there(one, served, placed)]
        preferred = validation_routes.wanted_kind(routes, authorization)
        best = next((one for one in there if one.kind is preferred), there[0] if there else None)
        if best is not None:
            found[authorization.url] = best
    return found


def _is_there(challenge: Challenge, served: set[str], placed: set[str]) -> bool:
    if challenge.kind is ChallengeKind.HTTP_01:
        return challenge.token in served
    return challenge.dns_value in placed


def _records(renewal: Renewal, order: CaOrder) -> Sequence[ValidationRecord]:
    if not _pending(order):
        return ()
    values = [one.dns_value for authorization in _pending(order) for one in authorization.challenges]
    return validation_records.list_for(renewal, values)


def _present_over_http(renewal: Renewal, challenge: Challenge, now: datetime) -> None:
    response = ChallengeResponse(
        token=challenge.token,
        renewal_id=renewal.id,
        key_authorization=challenge.key_authorization,
        created_at=now,
    )
    db.session.merge(response)
    leave_transaction()

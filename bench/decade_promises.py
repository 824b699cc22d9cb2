"""What ten simulated years must have kept, read from the database and from the CA's own count at their end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from bench.decade_ca import World
from portal.domain.alarms import AlarmKind, patience_until
from portal.domain.due import alarm_at
from portal.domain.hosting import HostingState
from portal.domain.term import PUBLIC_LIMITS, plan
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.services.ca_breaker import FAILURES_TO_OPEN

SlotOf = Callable[[datetime], datetime]


@dataclass(frozen=True)
class Term:
    """A paid term: from which certificate, since when, until when, and how many issuances were planned for it."""

    hosting_id: str
    number: int
    certificate_id: str
    bought_at: datetime
    ends_at: datetime
    planned: int


@dataclass(frozen=True)
class Life:
    """A certificate of a term, as far as the promises ask for it."""

    id: str
    not_before: datetime
    not_after: datetime
    taken_over_at: datetime


def check(terms: Sequence[Term], world: World, end: datetime, slot_of: SlotOf) -> dict[str, Any]:
    """Check every promise and give the totals. Raises AssertionError with the first one that was broken."""
    lives = _lives(terms)
    states = {row.id: row.state for row in db.session.execute(select(Hosting.id, Hosting.state))}
    for term in terms:
        _never_lapsed(term, lives[term.hosting_id], states[term.hosting_id], end)
    moved = sum(_within_plan(term, lives[term.hosting_id]) for term in terms)
    issued = _once_each(world)
    return {
        "terms": len(terms),
        "terms_ended": sum(state is HostingState.COMPLETED for state in states.values()),
        "issuances": issued,
        "planned_issuances_of_all_terms": sum(term.planned for term in terms),
        "terms_over_their_first_plan_by_a_new_limit": moved,
        "shortest_hours_left_at_a_takeover": _shortest(lives.values()),
        "orders_that_failed_validation": len(world.failed),
        "ca_outages": len(world.ca_outages),
        "dns_outages": sum(len(one) for one in world.dns_outages),
        "longest_outage_days": _longest(world),
        **_alarms_were_right(world, end, slot_of),
    }


def _lives(terms: Sequence[Term]) -> Mapping[str, list[Life]]:
    """By hosting: the certificate it began with, then its successors in order."""
    known = {
        row.id: row
        for row in db.session.execute(select(Certificate.id, Certificate.not_before, Certificate.not_after))
    }
    followed: dict[str, list[Life]] = defaultdict(list)
    for term in terms:
        first = known[term.certificate_id]
        followed[term.hosting_id].append(Life(first.id, first.not_before, first.not_after, term.bought_at))
    renewals = select(Renewal.hosting_id, Renewal.successor_id, Renewal.issued_at).where(
        Renewal.successor_id.is_not(None)
    )
    for hosting_id, successor_id, issued_at in db.session.execute(
        renewals.order_by(Renewal.hosting_id, Renewal.sequence)
    ):
        one = known[successor_id]
        followed[hosting_id].append(Life(one.id, one.not_before, one.not_after, issued_at))
    return followed


def _never_lapsed(term: Term, lives: Sequence[Life], state: HostingState, end: datetime) -> None:
    """At every moment from being bought to the end of the term a certificate was in force."""
    for old, new in pairwise(lives):
        assert new.taken_over_at < old.not_after, (
            f"{term} lapsed at {old.not_after}: taken over late by {new}"
        )
        assert new.not_before <= new.taken_over_at, f"{term}: {new} was not in force yet"
    needed = term.ends_at if state is HostingState.COMPLETED else min(term.ends_at, end)
    assert lives[-1].not_after >= needed, f"{term} lapsed at {lives[-1].not_after} ({state})"


def _within_plan(term: Term, lives: Sequence[Life]) -> bool:
    """No more issuances than were planned when the term was bought.

    Where a new limit came into force between the planned and the real day of an issuance, the plan holds that can be
    made from that issuance on. Returns whether it came to that.
    """
    issued = len(lives) - 1
    if issued <= term.planned:
        return False
    allowed = term.planned
    for since, _ in PUBLIC_LIMITS:
        for number, life in enumerate(lives[1:], 1):
            if life.taken_over_at >= since > lives[number - 1].taken_over_at:
                left = plan(life.not_before, life.not_after, term.ends_at, life.taken_over_at)
                allowed = max(allowed, number + len(left))
    assert issued <= allowed, f"{term}: {issued} issuances where {allowed} were planned"
    return True


def _once_each(world: World) -> int:
    """One certificate for each renewal that has one, and none that no renewal has."""
    doubled = {url: serials for url, serials in world.issued.items() if len(serials) != 1}
    assert not doubled, f"orders with more than one certificate: {doubled}"
    at_the_ca = {f"{serial:x}" for serials in world.issued.values() for serial in serials}
    rows = select(Certificate.serial).join(Renewal, Renewal.successor_id == Certificate.id)
    kept = list(db.session.scalars(rows))
    assert len(kept) == len(set(kept)), "a certificate belongs to two renewals"
    ours = {serial.replace(":", "").lower().lstrip("0") for serial in kept}
    assert ours == at_the_ca, (
        f"{len(at_the_ca - ours)} issued for nobody, {len(ours - at_the_ca)} from nowhere"
    )
    return len(kept)


def _alarms_were_right(world: World, end: datetime, slot_of: SlotOf) -> dict[str, Any]:
    """Whatever was late was told of, the CA's outages were, and nothing else was."""
    rows = db.session.execute(
        select(Alarm.kind, Alarm.subject_id, Alarm.raised_at, Alarm.cleared_at, Alarm.rung)
    ).all()
    kinds = {row.kind for row in rows}
    assert kinds <= {AlarmKind.RENEWAL_LATE, AlarmKind.CA_UNAVAILABLE}, f"unexpected alarms: {kinds}"
    late = _late_renewals(end, slot_of)
    told = {row.subject_id for row in rows if row.kind is AlarmKind.RENEWAL_LATE}
    assert told == late, f"{len(late - told)} late without an alarm, {len(told - late)} alarms for nothing"
    about_ca = [row for row in rows if row.kind is AlarmKind.CA_UNAVAILABLE]
    for row in about_ca:
        assert any(one.covers(row.raised_at) for one in world.ca_outages), f"the CA was there: {row}"
    for outage, refusals in world.refusals.items():
        is_told = any(outage.covers(row.raised_at) for row in about_ca)
        assert is_told or refusals < FAILURES_TO_OPEN, f"nobody was told of {outage}"
    return {
        "late_renewals": len(late),
        "alarms_renewal_late": len(told),
        "highest_rung": max((row.rung for row in rows), default=0),
        "alarms_ca_unavailable": len(about_ca),
    }


def _late_renewals(end: datetime, slot_of: SlotOf) -> set[str]:
    """The renewals that were not done before the first look after their ladder began (a look tells, then works)."""
    query = select(
        Renewal.id, Renewal.created_at, Renewal.finished_at, Certificate.not_before, Certificate.not_after
    ).join(Certificate, Certificate.id == Renewal.predecessor_id)
    found = set()
    for row in db.session.execute(query):
        first = alarm_at(row.not_before, row.not_after, 0)
        assert first is not None
        told_at = slot_of(max(first, patience_until(row.created_at, row.not_before, row.not_after)))
        if told_at < end and (row.finished_at is None or row.finished_at >= told_at):
            found.add(row.id)
    return found


def _shortest(lives: Any) -> float:
    left = [
        (old.not_after - new.taken_over_at).total_seconds() / 3600
        for chain in lives
        for old, new in pairwise(chain)
    ]
    return min(left, default=0.0)


def _longest(world: World) -> float:
    every = [*world.ca_outages, *(one for operator in world.dns_outages for one in operator)]
    return max(((one.end - one.start).total_seconds() / 86_400 for one in every), default=0.0)

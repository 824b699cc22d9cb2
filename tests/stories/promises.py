"""The invariant behind every story and every fault, whatever was ordered and however it went."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from portal.database import database_now
from portal.domain import hosting as hosting_rules
from portal.domain.alarms import patience_until
from portal.domain.deployment import SETTLED
from portal.domain.due import rungs_reached
from portal.domain.hosting import HostingState
from portal.domain.notices import NoticeKind
from portal.domain.order import OrderState, PaymentState
from portal.domain.pricing import Item
from portal.domain.renewal import FINAL, IN_FLIGHT, RenewalState
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.certificate import Certificate, Source
from portal.models.deployment import Deployment
from portal.models.history import HistoryEntry
from portal.models.hosting import Hosting, Renewal
from portal.models.notice import Notice
from portal.models.order import Order, Payment
from portal.services.kinds import KINDS

#: What no log may hold: keys as PEM, and as the long runs of hex digits that master keys are.
_KEY = re.compile(r"PRIVATE KEY|MIGHAgEAMBMGByqGSM49|MII[A-Za-z0-9+/]{200}|\b[0-9a-f]{64}\b")
#: 64 hex digits that are no secret: fingerprints are written under these names.
_PUBLIC = re.compile(r"sha256\W{1,6}[0-9a-f]{64}")


def check(now: datetime, issued: Iterable[str], logs: str = "", *, is_over: bool = True) -> None:
    """Every promise at once. `issued` are the serials (hex) that the CA says it gave out, one for each time.

    With `is_over` nothing may be in flight any more, but for what a person was told of.
    """
    db.session.rollback()
    db.session.expire_all()
    for order in db.session.scalars(select(Order)):
        check_paid(order, now, is_over=is_over)
        check_charged_once(order)
    check_issued_once([int(serial, 16) for serial in issued])
    check_leases()
    check_history()
    check_logs(logs)


def check_paid(order: Order, now: datetime, *, is_over: bool) -> None:
    """A paid order is active with a deployed certificate, or somebody has been told."""
    if order.state not in {OrderState.PAID, OrderState.FULFILLED}:
        return
    if order.state is OrderState.PAID:
        assert _is_told("orders", order.id, order.stopped_at), f"paid and not fulfilled: {order.number}"
        return
    for line in order.lines:
        if line.item is Item.HOSTING:
            hosting = db.session.scalar(select(Hosting).where(Hosting.order_line_id == line.id))
            assert hosting is not None, f"paid, fulfilled, and without hosting: {order.number}"
            check_hosting(hosting, now, is_over=is_over)


def check_hosting(hosting: Hosting, now: datetime, *, is_over: bool) -> None:
    """The certificate in use is valid and deployed, what is still owed is due some day; or an alarm is open."""
    if hosting.state is HostingState.FAILED:
        assert _notices_about(hosting.id) or _notices_about(hosting.certificate_id)
        return
    coming = [one for one in hosting.renewals if one.state not in FINAL]
    assert len(coming) <= 1, f"{len(coming)} renewals at once for {hosting.id}"
    told = any(_is_told("renewals", one.id, one.stopped_at) for one in coming)
    assert hosting.certificate.not_after > now or told, f"lapsed in silence: {hosting.certificate.name}"
    for renewal in hosting.renewals:
        check_renewal(renewal, now, is_over=is_over)
    if hosting.state is HostingState.HOSTED and hosting.certificate.not_after < hosting.coverage_ends_at:
        assert coming, f"nothing is owed any more, and the term goes on: {hosting.id}"


def check_renewal(renewal: Renewal, now: datetime, *, is_over: bool) -> None:
    """A renewal is over, or due some day; it is not late without an alarm."""
    if renewal.state is RenewalState.DONE:
        assert renewal.successor_id is not None
        deployments = db.session.scalars(select(Deployment).where(Deployment.renewal_id == renewal.id))
        assert {one.state for one in deployments} <= SETTLED
        return
    if renewal.state is RenewalState.CANCELLED:
        return
    is_told = _is_told("renewals", renewal.id, renewal.stopped_at) or _is_told_of_ca(renewal)
    assert renewal.next_attempt_at is not None, f"given up in silence: {renewal.id} {renewal.state}"
    if is_over and renewal.state in IN_FLIGHT:
        assert is_told or _has_stopped_deployment(renewal), (renewal.state, renewal.error_code)
    life = (renewal.predecessor.not_before, renewal.predecessor.not_after)
    is_late = rungs_reached(*life, now) > 0 and now > patience_until(renewal.created_at, *life)
    assert is_told or not is_late, f"late in silence: {renewal.id} {renewal.state} {renewal.error_code}"


def _has_stopped_deployment(renewal: Renewal) -> bool:
    stopped = select(Deployment.id).where(
        Deployment.renewal_id == renewal.id, Deployment.stopped_at.is_not(None)
    )
    return db.session.scalar(stopped.limit(1)) is not None


def _is_told(table: str, row_id: str, stopped_at: datetime | None) -> bool:
    """An alarm about the row is open, or it is stopped for a person and a notice of that exists."""
    about = (Alarm.subject_type == table, Alarm.subject_id == row_id, Alarm.cleared_at.is_(None))
    if db.session.scalar(select(Alarm.id).where(*about)) is not None:
        return True
    return stopped_at is not None and _notices_about(row_id) > 0


def _is_told_of_ca(renewal: Renewal) -> bool:
    about = (Alarm.subject_type == "ca_accounts", Alarm.subject_id == renewal.ca_account_id)
    return db.session.scalar(select(Alarm.id).where(*about, Alarm.cleared_at.is_(None)).limit(1)) is not None


def _notices_about(subject_id: str) -> int:
    wanted = (NoticeKind.ACTION_REQUIRED, NoticeKind.HOSTING_FAILED)
    query = select(func.count()).select_from(Notice)
    return db.session.scalar(query.where(Notice.subject_id == subject_id, Notice.kind.in_(wanted))) or 0


def check_charged_once(order: Order) -> None:
    """At most one charge, and of the right amount; a paid order has one."""
    paid = db.session.scalars(
        select(Payment).where(Payment.order_id == order.id, Payment.state == PaymentState.PAID)
    ).all()
    wanted = 1 if order.state in {OrderState.PAID, OrderState.FULFILLED} else 0
    assert len(paid) == wanted, f"{len(paid)} charges for {order.number}"
    assert {one.amount_fen for one in paid} <= {order.total_fen}


def check_issued_once(serials: Sequence[int]) -> None:
    """What the CA gave out is what we hold: nothing twice, nothing lost, one for each renewal."""
    twice = [serial for serial, count in Counter(serials).items() if count > 1]
    assert not twice, f"issued twice: {twice}"
    renewals = db.session.scalars(select(Renewal).where(Renewal.successor_id.is_not(None))).all()
    successors = [one.successor_id for one in renewals]
    assert len(successors) == len(set(successors))
    rows = db.session.scalars(select(Certificate.serial).where(Certificate.source == Source.ISSUED)).all()
    held = sorted(int(serial, 16) for serial in rows)
    assert len(held) == len(successors), f"{len(held)} certificates for {len(successors)} renewals"
    assert held == sorted(serials), f"the CA issued {len(serials)}, we hold {len(held)}"
    assert len(renewals) == len({(one.hosting_id, one.sequence) for one in renewals})


def check_leases() -> None:
    """Nothing is past its lease without an owner who will come: it is due, and so will be claimed by the next."""
    for kind in KINDS.values():
        model = kind.model
        dead = select(model).where(model.lease_until < database_now())
        for row in db.session.scalars(dead):
            assert row.next_attempt_at is not None, (kind.name, row.id, row.state)
        half = (model.lease_owner.is_(None)) != (model.lease_until.is_(None))
        assert db.session.scalar(select(func.count()).select_from(model).where(half)) == 0


def check_nobody_holds() -> None:
    """No lease is left."""
    for kind in KINDS.values():
        for row in db.session.scalars(select(kind.model)):
            assert row.lease_owner is None, (kind.name, row.id, row.state)


def check_history() -> None:
    """Each change is one of its table, and a row's changes lead without a gap to the state it is in."""
    tables: dict[str, tuple[Any, Mapping[Any, Any]]] = {
        kind.model.__tablename__: (kind.model, kind.transitions) for kind in KINDS.values()
    }
    tables["hostings"] = (Hosting, hosting_rules.TRANSITIONS)
    changes: dict[tuple[str, str], list[HistoryEntry]] = {}
    for entry in db.session.scalars(select(HistoryEntry).where(HistoryEntry.event != "stop")):
        changes.setdefault((entry.subject_type, entry.subject_id), []).append(entry)
    for (table, row_id), entries in changes.items():
        if table in tables:
            model, transitions = tables[table]
            state = db.session.scalar(select(model.state).where(model.id == row_id))
            _check_path(f"{table} {row_id}", entries, transitions, str(state))


def _check_path(
    row: str, entries: Sequence[HistoryEntry], transitions: Mapping[Any, Any], state: str
) -> None:
    """The changes, in whatever order they were written, are one way from one state to `state`."""
    for one in entries:
        allowed = transitions.get((one.from_state, one.event))  # StrEnum keys equal their texts
        is_begin = one.from_state == ""
        assert is_begin or allowed == one.to_state, f"{row}: {one.from_state} -{one.event}-> {one.to_state}"
    balance = Counter(one.from_state for one in entries)
    balance.subtract(one.to_state for one in entries)
    loose = {name: count for name, count in balance.items() if count}
    if loose:
        ends = [name for name, count in loose.items() if count == -1]
        assert sorted(loose.values()) == [-1, 1], f"{row}: a gap in its history, {loose}"
        assert ends == [state], f"{row}: history ends in {ends}, the row says {state}"
    else:
        assert state in {one.to_state for one in entries}


def check_logs(text: str) -> None:
    """No key was written to a log."""
    found = _KEY.search(_PUBLIC.sub("", text))
    assert found is None, f"a key in a log: …{found.group()[:24] if found else ''}…"

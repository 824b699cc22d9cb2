"""What operators do with orders at CAs without an interface: hand in, bring the certificate back, or say why not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from sqlalchemy import update

from portal.adapters.ca.manual import PREFIX
from portal.domain.certificate import to_pem
from portal.domain.errors import DomainError
from portal.domain.issuance import Ordered, check_issued
from portal.domain.manual_order import TRANSITIONS, ManualOrderEvent, ManualOrderState
from portal.domain.renewal import RenewalState
from portal.domain.spec import ValidationType, derive
from portal.domain.states import advance
from portal.extensions import db
from portal.models.authority import ManualOrder
from portal.models.hosting import Renewal
from portal.queue import JobName, enqueue_after_commit
from portal.services import manual_alarms
from portal.services.acting import Actor, note_change
from portal.services.auditing import audit
from portal.services.pem_reading import ReadChain, read_chain
from portal.services.ringing import wake

#: What the columns hold.
LONGEST_REFERENCE = 128
LONGEST_REFUSAL = 300


def is_carried(renewal: Renewal) -> bool:
    """Whether a renewal's order is one that operators carry."""
    return (renewal.order_url or "").startswith(PREFIX)


def is_under_review(renewal: Renewal) -> bool:
    """Whether a renewal waits for people at a CA (审核中)."""
    return renewal.state is RenewalState.FINALIZING and is_carried(renewal)


def get(order_id: str) -> ManualOrder:
    """An order that has its CSR, fresh from the database. Raises DomainError("not_found")."""
    order = db.session.get(ManualOrder, order_id, populate_existing=True)
    if order is None or order.csr_pem is None:
        raise DomainError("not_found")
    return order


def ordered_validation(order: ManualOrder, renewal: Renewal | None = None) -> ValidationType:
    """What kind of certificate it is for; OV where no renewal tells."""
    renewal = renewal or manual_alarms.renewal_of(order.id)
    return renewal.hosting.product.validation_type if renewal else ValidationType.OV


def take(order_id: str, reference: str, actor: Actor, now: datetime) -> ManualOrder:
    """Note that this operator carries the order, and the CA's own number for it.

    Raises DomainError: not_found, transition_refused.
    """
    order = get(order_id)
    values = {"reference": _short(reference), "handled_by": actor.id}
    if not _write(order, order.state, values) or order.state is not ManualOrderState.UNDER_REVIEW:
        _is_over(order, "take")
    _audit(order, "manual_order.take", actor, now, reference=_short(reference))
    db.session.commit()
    return order


def paste(order_id: str, chain_pem: str, reference: str, actor: Actor, now: datetime) -> ManualOrder:
    """Bring the certificate back: checked as one from any CA is, kept, and its renewal woken.

    Raises DomainError: not_found, transition_refused, chain_incomplete, issued_other_validation, and the codes of
    pem_reading.read_chain and issuance.check_issued. A refusal changes nothing.
    """
    order = get(order_id)
    to_state = advance(TRANSITIONS, order.state, ManualOrderEvent.ISSUE)
    renewal = manual_alarms.renewal_of(order.id)
    read = read_chain(chain_pem, now)
    _check(read, order, renewal, now)
    values = {
        "chain_pem": to_pem(read.chain),
        "reference": _short(reference) or order.reference,
        "handled_by": actor.id,
    }
    _finish(order, ManualOrderEvent.ISSUE, to_state, values, renewal, actor, now)
    return order


def refuse(order_id: str, words: str, actor: Actor, now: datetime) -> ManualOrder:
    """The CA will not issue: its renewal stops with these words, which its customer reads too.

    Raises DomainError: not_found, transition_refused, refusal_without_words.
    """
    order = get(order_id)
    to_state = advance(TRANSITIONS, order.state, ManualOrderEvent.REFUSE)
    if not words.strip():
        raise DomainError("refusal_without_words")
    values = {"refusal": words.strip()[:LONGEST_REFUSAL], "handled_by": actor.id}
    renewal = manual_alarms.renewal_of(order.id)
    _finish(order, ManualOrderEvent.REFUSE, to_state, values, renewal, actor, now)
    return order


def _check(read: ReadChain, order: ManualOrder, renewal: Renewal | None, now: datetime) -> None:
    """What every issued certificate must be, with words for what operators are wont to paste instead."""
    assert order.csr_pem is not None
    public_key = x509.load_pem_x509_csr(order.csr_pem.encode()).public_key()
    if len(read.chain) == 1:
        raise DomainError("chain_incomplete")
    check_issued(read.chain, Ordered(tuple(order.names), public_key), now)
    facts = read.facts
    said = derive(facts.names, facts.issuer, facts.policy_oids).validation_type
    wanted = ordered_validation(order, renewal) if renewal else said
    if said is not None and said is not wanted:
        raise DomainError("issued_other_validation", said=said.value.upper(), wanted=str(wanted).upper())


def _finish(
    order: ManualOrder,
    event: ManualOrderEvent,
    to_state: ManualOrderState,
    values: dict[str, Any],
    renewal: Renewal | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Write the outcome, clear the alarm and wake the renewal, all in one transaction."""
    from_state = order.state
    if not _write(order, from_state, values | {"state": to_state, "finished_at": now}):
        _is_over(order, event.value)
    told = {"renewal_id": renewal.id, "certificate_id": renewal.predecessor_id} if renewal else {}
    change = (from_state, event, to_state)
    note_change(ManualOrder.__tablename__, order.id, change, actor.id, now, params=told or None)
    _audit(order, f"manual_order.{event.value}", actor, now, reference=order.reference)
    manual_alarms.clear_for(order, now)
    if renewal is not None:
        wake(Renewal, renewal.id, now)
        enqueue_after_commit(db.session(), JobName.ADVANCE_RENEWALS, [renewal.id])
    db.session.commit()


def _write(order: ManualOrder, state: ManualOrderState, values: dict[str, Any]) -> bool:
    same = update(ManualOrder).where(ManualOrder.id == order.id, ManualOrder.state == state)
    result = db.session.execute(same.values(**values))
    db.session.refresh(order)
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _is_over(order: ManualOrder, event: str) -> None:
    db.session.rollback()
    raise DomainError("transition_refused", state=order.state.value, event=event)


def _audit(order: ManualOrder, action: str, actor: Actor, now: datetime, **params: Any) -> None:
    subject = (ManualOrder.__tablename__, order.id)
    audit(db.session, action, subject, actor.id, now, params=params, ip=actor.ip_address)


def _short(reference: str) -> str | None:
    return reference.strip()[:LONGEST_REFERENCE] or None

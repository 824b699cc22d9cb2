"""The steps of a renewal, one function per state (see portal.domain.renewal).

Each is safe to run twice: what a step will need again is stored before the next one starts, and what it made at the
CA is looked for before it is made anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from portal.adapters.ca.base import CaOrder, CaOrderState
from portal.adapters.errors import AdapterError
from portal.domain.certificate import split_pem
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.issuance import Ordered, check_issued
from portal.domain.keys import make_csr, make_key
from portal.domain.renewal import TRANSITIONS, RenewalEvent, RenewalState, poll_after
from portal.domain.spec import differing_parts
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.queue import JobName
from portal.services import activating, ca_accounts, deploying, validating
from portal.services.operations import Advance, Kind, Wait, leave_transaction
from portal.services.private_keys import open_renewal_key, seal_renewal_key


def start(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Copy what the successor takes over from the predecessor, and check that it may still be made (rule 6)."""
    hosting = renewal.hosting
    if hosting.state is not HostingState.HOSTED:
        raise DomainError("hosting_not_active")
    spec = hosting.certificate.spec
    if spec is None or (parts := differing_parts(spec, hosting.product.spec)):
        named = ", ".join(parts) if spec is not None else "validation_type, brand, grade"
        raise DomainError("spec_mismatch", parts=named)
    values = {"ca_account_id": hosting.product.ca_account_id, "started_at": now}
    return Advance(RenewalEvent.START, due_at=now, values=values)


def check(_renewal: Renewal, now: datetime) -> Advance | Wait:
    """Look whether the names can be proved, before anything is asked of the CA."""
    return Advance(RenewalEvent.CHECK, due_at=now)


def make_renewal_key(renewal: Renewal, now: datetime) -> Advance | Wait:
    """A new key of the predecessor's type, sealed, with its CSR: stored before anything is ordered for it."""
    leave_transaction()
    key = make_key(renewal.key_type)
    values = {"private_key": seal_renewal_key(renewal, key), "csr_pem": make_csr(renewal.names, key)}
    return Advance(RenewalEvent.MAKE_KEY, due_at=now, values=values)


def order(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Order at the CA. Dying before the URL is stored leaves a pending order there that nothing is issued from."""
    account = _account(renewal)
    ca_accounts.ensure_registered(account)
    leave_transaction()
    try:
        placed = ca_accounts.connect(account).new_order(renewal.names)
    except AdapterError as error:
        if error.code == "ca_account_gone":
            ca_accounts.forget_registration(account)
        raise
    return Advance(RenewalEvent.ORDER, due_at=now, values={"order_url": placed.url})


def present(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Put the proofs in place."""
    account = _account(renewal)
    leave_transaction()
    placed = _look(renewal, account)
    if placed is None or placed.state is CaOrderState.INVALID:
        return _reorder(placed, now)
    validating.present(renewal, account, placed, now)
    return Advance(RenewalEvent.PRESENT, due_at=now)


def answer(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Tell the CA to look."""
    account = _account(renewal)
    leave_transaction()
    ca = ca_accounts.connect(account)
    placed = _look(renewal, account)
    if placed is None or placed.state is CaOrderState.INVALID:
        return _reorder(placed, now)
    for challenge in validating.to_answer(account, placed):
        ca.answer(challenge)
    return Advance(RenewalEvent.ANSWER, due_at=now)


def validate(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Ask once whether the CA has seen the proofs."""
    account = _account(renewal)
    leave_transaction()
    placed = _look(renewal, account)
    if placed is None or placed.state is CaOrderState.INVALID:
        if placed is not None:
            validating.clear(renewal, account, placed)
        return _reorder(placed, now)
    if placed.state is CaOrderState.PENDING:
        return _ask_again(renewal, placed, now)
    validating.clear(renewal, account, placed)
    return Advance(RenewalEvent.VALIDATE, due_at=now)


def finalize(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Send the CSR. An order that has it already is taken as it is: the certificate is issued once."""
    account = _account(renewal)
    leave_transaction()
    placed = _look(renewal, account)
    if placed is None or placed.state is CaOrderState.INVALID:
        return _reorder(placed, now)
    if placed.state is CaOrderState.READY:
        assert renewal.csr_pem is not None
        ca_accounts.connect(account).finalize(placed.url, renewal.csr_pem)
    return Advance(RenewalEvent.FINALIZE, due_at=now)


def issue(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Fetch the certificate, accept it only if it is what was ordered, and let it take over (rule 11)."""
    account = _account(renewal)
    leave_transaction()
    placed = _look(renewal, account)
    if placed is None or placed.state is CaOrderState.INVALID:
        return _reorder(placed, now)
    ca = ca_accounts.connect(account)
    assert renewal.csr_pem is not None
    if placed.state is CaOrderState.READY:
        placed = ca.finalize(placed.url, renewal.csr_pem)
    if placed.state is not CaOrderState.VALID:
        return _ask_again(renewal, placed, now)
    chain = split_pem(ca.download(placed.url, renewal.csr_pem))
    key = open_renewal_key(renewal)
    check_issued(chain, Ordered(tuple(renewal.names), key.public_key()), now)
    successor = activating.successor_of(renewal, chain, key, now)
    values = {"issued_at": now, "private_key": None}
    return Advance(
        RenewalEvent.ISSUE,
        due_at=now,
        values=values,
        then=lambda: activating.take_over(renewal, successor, now),
    )


def hand_over(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Find where the predecessor is served and plan a deployment for each place (rule 13)."""
    assert renewal.successor is not None
    targets = [target.id for target in deploying.known_targets(renewal.predecessor)]
    successor = renewal.successor
    return Advance(
        RenewalEvent.HAND_OVER, due_at=now, then=lambda: deploying.plan(targets, successor, renewal.id, now)
    )


#: A finished deployment wakes its renewal; this look is for a wake-up call that was lost.
DEPLOYMENTS_AGAIN = timedelta(minutes=10)


def finish(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Done once every target serves the successor; until then the renewal is seen to be unfinished."""
    if not deploying.is_all_live(renewal):
        return Wait(now + DEPLOYMENTS_AGAIN)
    return Advance(
        RenewalEvent.FINISH,
        due_at=None,
        values={"finished_at": now},
        then=lambda: activating.close(renewal, now),
    )


def _account(renewal: Renewal) -> CaAccount:
    account = db.session.get_one(CaAccount, renewal.ca_account_id)
    if account.paused_at is not None:
        raise AdapterError("ca_paused", permanent=False, name=account.name)
    return account


def _look(renewal: Renewal, account: CaAccount) -> CaOrder | None:
    """The order as the CA sees it; None if the CA knows it no more."""
    assert renewal.order_url is not None
    try:
        return ca_accounts.connect(account).get_order(renewal.order_url)
    except AdapterError as error:
        if error.code != "ca_order_gone":
            raise
        return None


def _ask_again(renewal: Renewal, placed: CaOrder, now: datetime) -> Wait:
    soon = now + poll_after(renewal.polls + 1)
    return Wait(max(placed.retry_at, now) if placed.retry_at is not None else soon)


def _reorder(placed: CaOrder | None, now: datetime) -> Advance:
    """Back to ordering, with the same key. A check that failed needs a person; an order that is gone does not."""
    failed = [one for one in placed.authorizations if one.state == "invalid"] if placed is not None else []
    if failed:
        failure = AdapterError(
            "validation_failed", permanent=True, name=failed[0].name, said=(failed[0].error or "")[:300]
        )
    else:
        failure = AdapterError("ca_order_gone", permanent=False)
    return Advance(
        RenewalEvent.REORDER, due_at=now, values={"order_url": None}, failure=failure, reason=failure.code
    )


def _on_stop(renewal: Renewal, now: datetime) -> None:
    activating.tell_stopped(renewal, now)


KIND: Kind[Renewal] = Kind(
    name="renewal",
    model=Renewal,
    transitions=TRANSITIONS,
    steps={
        RenewalState.WAITING: start,
        RenewalState.STARTED: check,
        RenewalState.CHECKED: make_renewal_key,
        RenewalState.KEYED: order,
        RenewalState.ORDERED: present,
        RenewalState.PRESENTED: answer,
        RenewalState.VALIDATING: validate,
        RenewalState.VALIDATED: finalize,
        RenewalState.FINALIZING: issue,
        RenewalState.ISSUED: hand_over,
        RenewalState.DEPLOYING: finish,
    },
    job=JobName.ADVANCE_RENEWALS,
    on_stop=_on_stop,
)

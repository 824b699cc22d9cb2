"""The steps of a renewal, one function per state (see portal.domain.renewal).

Each is safe to run twice: what a step will need again is stored before the next one starts, and what it made at the
CA is looked for before it is made anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import joinedload

from portal.adapters.ca.base import CaOrderState
from portal.adapters.errors import AdapterError
from portal.domain.certificate import split_pem
from portal.domain.due import EMERGENCY_PAUSE, emergency_at
from portal.domain.errors import DomainError
from portal.domain.hosting import HostingState
from portal.domain.issuance import Ordered, check_issued
from portal.domain.renewal import TRANSITIONS, RenewalEvent, RenewalState, poll_after
from portal.domain.spec import differing_parts
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Hosting, Renewal
from portal.queue import JobName
from portal.services import (
    activating,
    ca_accounts,
    ca_capacity,
    clocks,
    deploying,
    domain_validations,
    keying,
    preflight,
    renewal_windows,
    storage,
    validating,
)
from portal.services.at_the_ca import (
    ask_again,
    at_the_ca,
    forget_proofs,
    hold,
    is_lost,
    look,
    order_anew,
    takes_client_auth,
)
from portal.services.operations import Advance, Kind, Wait, leave_transaction

#: How long a proof may take to be seen by everybody before the CA is told of it all the same.
PROPAGATION = timedelta(minutes=10)


#: A rehearsal that failed is made again after this at the latest.
REHEARSED_AGAIN = timedelta(hours=1)


def start(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Copy what the successor takes over from the predecessor, and check that it may still be made (rules 6 and 12)."""
    hosting, predecessor = renewal.hosting, renewal.predecessor
    if hosting.state is not HostingState.HOSTED:
        raise DomainError("hosting_not_active")
    spec = hosting.certificate.spec
    if spec is None or (parts := differing_parts(spec, hosting.product.spec)):
        named = ", ".join(parts) if spec is not None else "validation_type, brand, grade"
        raise DomainError("spec_mismatch", parts=named)
    clocks.check_start(hosting.product.ca_account, now)
    values = {
        "ca_account_id": hosting.product.ca_account_id,
        "key_type": hosting.key_type or predecessor.key_type,
        "applicant": predecessor.applicant,
        "started_at": now,
    }
    return Advance(RenewalEvent.START, due_at=now, values=values)


def check(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Look whether the names can be proved, before anything is asked of the CA: a failed check there counts against
    its limits. In an emergency the CA decides: a rehearsal that is wrong must not cost a certificate its life.
    """
    account = renewal.ca_account
    assert account is not None
    if preflight.is_rehearsed(account) and not _is_emergency(renewal, now):
        reports = preflight.rehearse(renewal.organisation_id, renewal.names, account, now)
        if (reason := preflight.stop_reason(reports)) is not None:
            raise reason
    return Advance(RenewalEvent.CHECK, due_at=now)


def make_key(renewal: Renewal, now: datetime) -> Advance | Wait:
    """The key, sealed, with its CSR: stored before anything is ordered for it."""
    keyed = keying.make(renewal)
    values = {"private_key": keyed.private_key, "csr_pem": keyed.csr_pem}
    return Advance(RenewalEvent.MAKE_KEY, due_at=now, values=values)


def order(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Order at the CA. Dying before the URL is stored leaves a pending order there that nothing is issued from."""
    try:
        account = ca_capacity.admit(renewal, now)
    except AdapterError as held_back:
        return hold(held_back, now)
    storage.check_room(now)
    return _order_from(renewal, account, now)


def _order_from(renewal: Renewal, account: CaAccount, now: datetime) -> Advance:
    replaces = renewal_windows.replaces_for(renewal, account)
    leave_transaction()
    try:
        ca_accounts.ensure_registered(account)
        ca = ca_accounts.connect(account)
        clocks.check(account, ca, now)
        placed = ca.new_order(renewal.names, replaces)
    except AdapterError as error:
        db.session.rollback()
        ca_capacity.note_failure(account, error, now, renewal.names)
        if error.code == "ca_account_gone":
            ca_accounts.forget_registration(account)
        raise
    ca_capacity.note_success(account, now)
    values = {"order_url": placed.url, "ca_account_id": account.id, "replaces": replaces}
    return Advance(RenewalEvent.ORDER, due_at=now, values=values)


@at_the_ca
def present(renewal: Renewal, account: CaAccount, now: datetime) -> Advance | Wait:
    """Put the proofs in place."""
    placed = look(renewal, account)
    if placed is None or is_lost(placed):
        return order_anew(renewal, account, placed, now)
    validating.present(renewal, account, placed, now)
    return Advance(RenewalEvent.PRESENT, due_at=now)


@at_the_ca
def answer(renewal: Renewal, account: CaAccount, now: datetime) -> Advance | Wait:
    """Tell the CA to look, once the proofs can be seen: a check that comes too early fails for good."""
    placed = look(renewal, account)
    if placed is None or is_lost(placed):
        return order_anew(renewal, account, placed, now)
    proofs = validating.proofs_of(renewal, account, placed)
    if renewal.polls < _polls_in(PROPAGATION) and not proofs.are_visible():
        return Wait(now + poll_after(renewal.polls + 1))
    ca = ca_accounts.connect(account)
    for challenge in proofs.to_answer():
        ca.answer(challenge)
    return Advance(RenewalEvent.ANSWER, due_at=now)


@at_the_ca
def validate(renewal: Renewal, account: CaAccount, now: datetime) -> Advance | Wait:
    """Ask once whether the CA has seen the proofs; then take them away."""
    placed = look(renewal, account)
    if placed is None or is_lost(placed):
        return order_anew(renewal, account, placed, now)
    if placed.state is CaOrderState.PENDING:
        return ask_again(renewal, placed, now)
    validating.clear(renewal, account, placed)
    proved = [one.name for one in placed.authorizations]
    return Advance(
        RenewalEvent.VALIDATE,
        due_at=now,
        then=lambda: domain_validations.note_proved(renewal.organisation_id, proved, now),
    )


@at_the_ca
def finalize(renewal: Renewal, account: CaAccount, now: datetime) -> Advance | Wait:
    """Send the CSR. An order that has it already is taken as it is: the certificate is issued once."""
    assert renewal.order_url is not None and renewal.csr_pem is not None
    try:
        ca_accounts.connect(account).finalize(renewal.order_url, renewal.csr_pem)
    except AdapterError as error:
        if error.code != "ca_order_gone":
            raise
        return order_anew(renewal, account, None, now)
    return Advance(RenewalEvent.FINALIZE, due_at=now)


@at_the_ca
def issue(renewal: Renewal, account: CaAccount, now: datetime) -> Advance | Wait:
    """Fetch the certificate, accept it only if it is what was ordered, and let it take over (rule 11)."""
    placed = look(renewal, account)
    if placed is None or is_lost(placed):
        return order_anew(renewal, account, placed, now)
    ca, csr_pem = ca_accounts.connect(account), renewal.csr_pem
    assert csr_pem is not None
    if placed.state is CaOrderState.READY:
        placed = ca.finalize(placed.url, csr_pem)
    if placed.state is not CaOrderState.VALID:
        return ask_again(renewal, placed, now)
    chain = split_pem(ca.download(placed.url, csr_pem))
    ordered = Ordered(tuple(renewal.names), keying.public_key_of(csr_pem), takes_client_auth(account))
    check_issued(chain, ordered, now)
    successor = activating.successor_of(renewal, chain, keying.find_key(renewal), now)
    return Advance(
        RenewalEvent.ISSUE,
        due_at=now,
        values={"issued_at": now, "private_key": None},
        then=lambda: activating.take_over(renewal, successor, now),
    )


def hand_over(renewal: Renewal, now: datetime) -> Advance | Wait:
    """Find where the predecessor is served and plan a deployment for each place (rule 13)."""
    assert renewal.successor is not None
    forget_proofs(renewal)
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
        values={"finished_at": now, "alarm_at": None},
        then=lambda: activating.close(renewal, now),
    )


def _is_emergency(renewal: Renewal, now: datetime) -> bool:
    predecessor = renewal.predecessor
    return now >= emergency_at(predecessor.not_before, predecessor.not_after)


def _polls_in(span: timedelta) -> int:
    """How many looks by the table of intervals fill `span`."""
    polls, waited = 0, timedelta(0)
    while waited < span:
        polls += 1
        waited += poll_after(polls)
    return polls


def _longest_pause(renewal: Renewal, now: datetime) -> timedelta | None:
    """A rehearsal costs the CA nothing: what a person mends in the DNS is seen within the hour."""
    if renewal.state is RenewalState.STARTED:
        return REHEARSED_AGAIN
    return EMERGENCY_PAUSE if _is_emergency(renewal, now) else None


def _on_stop(renewal: Renewal, now: datetime) -> None:
    activating.tell_stopped(renewal, now)


KIND: Kind[Renewal] = Kind(
    name="renewal",
    model=Renewal,
    transitions=TRANSITIONS,
    steps={
        RenewalState.WAITING: start,
        RenewalState.STARTED: check,
        RenewalState.CHECKED: make_key,
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
    job_of=keying.job_of,
    longest_pause=_longest_pause,
    local=frozenset({RenewalState.WAITING, RenewalState.CHECKED, RenewalState.DEPLOYING}),
    loading=(
        joinedload(Renewal.hosting).joinedload(Hosting.product),
        joinedload(Renewal.predecessor),
        joinedload(Renewal.ca_account),
    ),
)

"""What every step at a CA has in common: the account, whether it may be asked now, what its order has come to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps

import structlog

from portal.adapters.ca.base import CaOrder, CaOrderState
from portal.adapters.ca.registry import KINDS as CA_KINDS
from portal.adapters.errors import AdapterError
from portal.domain.renewal import RenewalEvent, poll_after
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.services import ca_accounts, ca_capacity, clocks, validating
from portal.services.operations import Advance, Step, Wait, leave_transaction

log = structlog.get_logger(__name__)

#: How soon a renewal looks again whether a paused account has been resumed.
PAUSE_LOOK = timedelta(minutes=5)

CaStep = Callable[[Renewal, CaAccount, datetime], Advance | Wait]


def at_the_ca(step: CaStep) -> Step[Renewal]:
    """A step that talks to the CA: not while its account is paused, limited or known to be away.

    What comes of it is told to the circuit breaker. Being held back is no failure of the renewal.
    """

    @wraps(step)
    def asked(renewal: Renewal, now: datetime) -> Advance | Wait:
        account = renewal.ca_account
        assert account is not None
        reason = _clock_is_wrong(now) or ca_capacity.held_back(account, renewal, now)
        if reason is not None:
            return hold(reason, now)
        leave_transaction()
        try:
            outcome = step(renewal, account, now)
        except AdapterError as error:
            db.session.rollback()
            ca_capacity.note_failure(account, error, now, renewal.names)
            raise
        ca_capacity.note_success(account, now)
        return outcome

    return asked


def _clock_is_wrong(now: datetime) -> AdapterError | None:
    """By a wrong clock a good certificate looks as if it were not valid yet; another worker's may be right."""
    if not clocks.database_disagrees(now):
        return None
    return AdapterError(clocks.WRONG, permanent=False, name="database")


def hold(reason: AdapterError, now: datetime) -> Wait:
    """Wait for an account that may not be asked now; people see why."""
    return Wait(max(reason.not_before or now + PAUSE_LOOK, now + timedelta(seconds=1)), because=reason)


def look(renewal: Renewal, account: CaAccount) -> CaOrder | None:
    """The order as the CA sees it; None if the CA knows it no more."""
    assert renewal.order_url is not None
    try:
        return ca_accounts.connect(account).get_order(renewal.order_url)
    except AdapterError as error:
        if error.code != "ca_order_gone":
            raise
        return None


def is_lost(placed: CaOrder | None) -> bool:
    """Whether nothing can come of the order any more."""
    return placed is None or placed.state is CaOrderState.INVALID


def forget_proofs(renewal: Renewal) -> None:
    """Have the CA forget what was proved for this order, in case another customer orders the same name.

    A second lock beside `validation_routes.check_bound`: a CA that is away keeps no certificate from being deployed.
    """
    account = renewal.ca_account
    if account is None or renewal.order_url is None or not CA_KINDS[account.kind].validates:
        return
    leave_transaction()
    try:
        ca_accounts.connect(account).forget_proofs(renewal.order_url)
    except AdapterError as error:
        log.warning("proofs_not_forgotten", renewal=renewal.id, account=account.name, code=error.code)


def takes_client_auth(account: CaAccount) -> bool:
    """Whether a certificate is accepted that the CA made for clients as well: usable, though public CAs end that."""
    return account.config.get("client_auth") != "refuse"


def ask_again(renewal: Renewal, placed: CaOrder, now: datetime) -> Wait:
    """The CA is busy: look again when it said, or as the table of intervals says."""
    soon = now + poll_after(renewal.polls + 1)
    return Wait(max(placed.retry_at, now) if placed.retry_at is not None else soon)


def order_anew(renewal: Renewal, account: CaAccount, placed: CaOrder | None, now: datetime) -> Advance:
    """Back to ordering, with the same key, and without the proofs that were in place for the order that is lost.

    A check that failed needs a person; an order that is gone does not.
    """
    if placed is not None:
        validating.clear(renewal, account, placed)
    failed = [one for one in placed.authorizations if one.state == "invalid"] if placed is not None else []
    if failed:
        said = (failed[0].error or "")[:300]
        failure = AdapterError(
            "ca_order_refused" if account.kind == "manual" else "validation_failed",
            permanent=True,
            name=failed[0].name,
            said=said,
        )
        ca_capacity.note_failure(account, failure, now)
    else:
        failure = AdapterError("ca_order_gone", permanent=False)
    return Advance(
        RenewalEvent.REORDER, due_at=now, values={"order_url": None}, failure=failure, reason=failure.code
    )

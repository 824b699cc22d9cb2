"""Asking the CA when it wants a hosted certificate renewed (RFC 9773), and moving the waiting renewal accordingly."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import select, update

from portal.adapters.ca.ari import certificate_id
from portal.adapters.ca.base import RenewalInfo
from portal.adapters.errors import AdapterError
from portal.domain.due import DECIDED, Due, Life, Window, due
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate, Source
from portal.models.hosting import Hosting, Renewal
from portal.queue import JobName, enqueue_after_commit
from portal.services import ca_accounts
from portal.services.operations import leave_transaction, settings
from portal.services.renewing import jitter_of

#: A CA may want to be asked oftener or more rarely than that; it is not heeded there (RFC 9773, 4.3.2).
SOONEST_LOOK = timedelta(minutes=5)
LATEST_LOOK = timedelta(hours=12)
#: Where the CA does not say when to ask again.
USUAL_LOOK = timedelta(hours=6)
#: Where it does not know the certificate, or knows of no windows at all.
UNKNOWN_LOOK = timedelta(days=7)

Dice = Callable[[], float]
_dice: Dice = random.SystemRandom().random


def look(hosting: Hosting, now: datetime, dice: Dice = _dice) -> datetime:
    """Ask once for the window of the certificate in use; returns when to ask again.

    A new window is stored on the renewal that waits, and a point in it is drawn, evenly and once: that is when the
    renewal falls due (see portal.domain.due). One that lies behind us makes it due now, and rings. What somebody
    decided is not moved, nor is a renewal that has begun. Commits. Raises AdapterError, always temporary: the renewal
    stays due when it was.
    """
    certificate = hosting.certificate
    renewal = _waiting(hosting)
    account, name = _account_to_ask(hosting), certificate_id(_leaf(certificate))
    if renewal is None or account is None or name is None:
        leave_transaction()
        return now + (LATEST_LOOK if renewal is None else UNKNOWN_LOOK)
    if (held_until := _held_until(account, now)) is not None:
        leave_transaction()
        return held_until
    info = _ask(account, name)
    if info is None:
        return now + (UNKNOWN_LOOK if renewal.window_start is None else LATEST_LOOK)
    _take_in(renewal, certificate, info, now, dice)
    db.session.commit()
    return _again_at(info, now)


def replaces_for(renewal: Renewal, account: CaAccount) -> str | None:
    """What a new order at this account may name as replaced: the predecessor, if this very account issued it here.

    An uploaded certificate never counts, whoever issued it: naming a stranger's would silence the CA's notices to its
    owner, or be refused.
    """
    predecessor = renewal.predecessor
    is_own = (
        predecessor.source is Source.ISSUED
        and predecessor.ca_account_id == account.id
        and predecessor.organisation_id == renewal.organisation_id
    )
    return certificate_id(_leaf(predecessor)) if is_own else None


def _leaf(certificate: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.leaf_pem.encode())


def _waiting(hosting: Hosting) -> Renewal | None:
    """The renewal of the certificate in use, if it has not begun."""
    query = select(Renewal).where(
        Renewal.hosting_id == hosting.id,
        Renewal.predecessor_id == hosting.certificate_id,
        Renewal.state == RenewalState.WAITING,
    )
    return db.session.scalar(
        query.order_by(Renewal.sequence.desc()).execution_options(populate_existing=True)
    )


def _account_to_ask(hosting: Hosting) -> CaAccount | None:
    """The account that issued the certificate here; for an upload the one that is to renew it, whose CA may know it."""
    issuer = hosting.certificate.ca_account_id
    return db.session.get(CaAccount, issuer) if issuer is not None else hosting.product.ca_account


def _held_until(account: CaAccount, now: datetime) -> datetime | None:
    """When a CA may be asked that an operator paused, or that is left alone because it is away."""
    if account.paused_at is not None:
        return now + USUAL_LOOK
    away = [one for one in (account.open_until, account.limited_until) if one is not None and one > now]
    return min(max(away), now + LATEST_LOOK) if away else None


def _ask(account: CaAccount, name: str) -> RenewalInfo | None:
    """Even a refusal is temporary: it says nothing of the certificate."""
    leave_transaction()
    try:
        return ca_accounts.connect(account).renewal_info(name)
    except AdapterError as error:
        if not error.permanent:
            raise
        raise AdapterError(
            error.code, permanent=False, not_before=error.not_before, **error.params
        ) from error


def _take_in(
    renewal: Renewal, certificate: Certificate, info: RenewalInfo, now: datetime, dice: Dice
) -> None:
    """Move the renewal if the window is new, and if it still waits and nobody has decided otherwise meanwhile."""
    if (renewal.window_start, renewal.window_end) == (info.start, info.end):
        return
    window = Window(info.start, info.end)
    fell = due(
        Life(
            certificate.not_before,
            certificate.not_after,
            jitter=jitter_of(certificate.id),
            window=window,
            point=dice(),
        )
    )
    due_at = _due_at(renewal, fell, now)
    values: dict[str, object] = {
        "window_start": info.start,
        "window_end": info.end,
        "explanation_url": info.explanation_url,
        "due_reason": fell.reason,
        "next_attempt_at": due_at,
        "rung_until": now + timedelta(seconds=settings().ring_again_seconds) if due_at == now else None,
    }
    if _move(renewal, values) and due_at == now:
        enqueue_after_commit(db.session(), JobName.ADVANCE_RENEWALS, [renewal.id])


def _due_at(renewal: Renewal, fell: Due, now: datetime) -> datetime:
    """Never in the past; and one that was tried already is only moved up."""
    wanted = max(fell.at, now)
    tried = renewal.next_attempt_at if renewal.attempts else None
    return min(wanted, tried) if tried is not None and tried > now else wanted


def _move(renewal: Renewal, values: dict[str, object]) -> bool:
    """By conditional UPDATE: a start, a decision or another look that came in between wins."""
    same_window = (
        Renewal.window_start.is_(None)
        if renewal.window_start is None
        else (Renewal.window_start == renewal.window_start)
    )
    still = update(Renewal).where(
        Renewal.id == renewal.id,
        Renewal.state == RenewalState.WAITING,
        Renewal.due_reason.not_in(DECIDED),
        same_window,
    )
    moved = db.session.execute(still.values(**values).execution_options(synchronize_session=False))
    return moved.rowcount == 1  # type: ignore[attr-defined, no-any-return]


def _again_at(info: RenewalInfo, now: datetime) -> datetime:
    if info.retry_at is None:
        return now + USUAL_LOOK
    return min(max(info.retry_at, now + SOONEST_LOOK), now + LATEST_LOOK)

"""Throwing away what nobody will ask for again. Renewals, orders, notices and history are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete

from portal.extensions import db
from portal.models.account import LoginSession
from portal.models.authority import CaOrderKey
from portal.models.hosting import ChallengeResponse
from portal.services import ca_buckets, crl_watching, validation_records

#: Proofs are taken away when they have served; these are left over from orders that were given up.
CHALLENGES_KEPT = timedelta(days=7)
SESSIONS_KEPT = timedelta(days=30)
#: An order of the private CA can be carried on for seven days.
ORDER_KEYS_KEPT = timedelta(days=8)


def clean(now: datetime) -> None:
    """Delete old log-ins, left-over proofs of domains, and what belongs to orders that have run out."""
    db.session.execute(delete(ChallengeResponse).where(ChallengeResponse.created_at < now - CHALLENGES_KEPT))
    db.session.execute(delete(LoginSession).where(LoginSession.expires_at < now - SESSIONS_KEPT))
    db.session.execute(delete(CaOrderKey).where(CaOrderKey.created_at < now - ORDER_KEYS_KEPT))
    ca_buckets.forget_full(now)
    db.session.commit()
    crl_watching.catch_up(now)
    validation_records.sweep(now)

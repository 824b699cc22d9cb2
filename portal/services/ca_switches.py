"""What operators set on a CA account while it works: pause and resume, its limits. Every act is audited."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from portal.domain.rate_limits import Limit, read_limits, read_max_in_flight
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.queue import JobName, enqueue_after_commit
from portal.services import ca_accounts, ca_buckets, ca_quota
from portal.services.auditing import audit

#: What a renewal says while it waits for its CA, by what ends the wait.
_PAUSED = ("ca_paused",)
_LIMITED = ("ca_rate_limited", "ca_busy")


def pause(name: str, actor: str, reason: str, now: datetime, ip: str | None = None) -> CaAccount:
    """Give this account no more work; renewals wait, and go to a fallback where their product has one.

    Raises DomainError("ca_account_unknown").
    """
    account = ca_accounts.get(name)
    account.paused_at = account.paused_at or now
    _audit(account, "ca_account.pause", actor, now, ip, reason=reason)
    db.session.commit()
    return account


def resume(name: str, actor: str, reason: str, now: datetime, ip: str | None = None) -> CaAccount:
    """Give this account work again; what waited for it is due at once. Raises DomainError("ca_account_unknown")."""
    account = ca_accounts.get(name)
    account.paused_at = None
    _wake(account, _PAUSED, now)
    _audit(account, "ca_account.resume", actor, now, ip, reason=reason)
    db.session.commit()
    return account


def set_limits(
    name: str, limits: Any, max_in_flight: Any, actor: str, now: datetime, ip: str | None = None
) -> CaAccount:
    """Change what an account may ask for; None leaves a setting as it is, "none" and "" take it away.

    What waits for its turn is tried anew. Raises DomainError: ca_account_unknown, field_wrong.
    """
    account = ca_accounts.get(name)
    given = {"limits": limits, "max_in_flight": max_in_flight}
    changed = {key: value for key, value in given.items() if value is not None}
    config = {**account.config, **changed}
    read_max_in_flight(config)
    _count_anew(account, read_limits(account.config), read_limits(config), now)
    account.config = {key: value for key, value in config.items() if value not in ("", None)}
    ca_buckets.forget(account.id, ca_quota.QUEUE)
    _wake(account, _LIMITED, now)
    _audit(account, "ca_account.set_limits", actor, now, ip, **changed)
    db.session.commit()
    return account


def _count_anew(account: CaAccount, old: Iterable[Limit], new: Iterable[Limit], now: datetime) -> None:
    """A bucket is a moment, and means as many tokens as its limit says: those that were taken stay taken."""
    wanted = {one.name: one for one in new}
    changed = {one.name: one for one in old if wanted.get(one.name) not in (None, one)}
    for (name, scope), full_at in ca_buckets.fullest(account.id, now, limit=100_000).items():
        if name in changed:
            limit = wanted[name]
            taken = (full_at - now) / changed[name].interval
            moved = min(now + limit.interval * taken, now + limit.period)
            ca_buckets.put(account.id, (name, scope), full_at, moved)


def _wake(account: CaAccount, codes: Iterable[str], now: datetime) -> None:
    """Make renewals due that waited for this account, within the caller's transaction."""
    waiting = (
        Renewal.started_at.is_not(None),
        Renewal.finished_at.is_(None),
        Renewal.ca_account_id == account.id,
        Renewal.error_code.in_(tuple(codes)),
        Renewal.next_attempt_at > now,
    )
    ids = list(db.session.scalars(select(Renewal.id).where(*waiting)))
    if not ids:
        return
    due = update(Renewal).where(*waiting).values(next_attempt_at=now, rung_until=None)
    db.session.execute(due.execution_options(synchronize_session=False))
    enqueue_after_commit(db.session(), JobName.ADVANCE_RENEWALS, ids)


def _audit(account: CaAccount, action: str, actor: str, now: datetime, ip: str | None, **params: Any) -> None:
    given = {key: value for key, value in params.items() if value not in ("", None)}
    audit(
        db.session(),
        action,
        (CaAccount.__tablename__, account.id),
        actor,
        now,
        params={"name": account.name, **given},
        ip=ip,
    )

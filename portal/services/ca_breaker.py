"""What a CA account's answers say of it: a circuit breaker for a CA that is away, and the waits that the CA asks for.

Closed: calls go through. After FAILURES_TO_OPEN failures in a row it is open: no new order until `open_until`. Then
half open: one order goes ahead as a probe (whoever moves `open_until` on by conditional UPDATE), the others wait for
what becomes of it. Each failure more doubles the pause, up to LONGEST_PAUSE; the first answer closes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import func, update

from portal.adapters.errors import AdapterError
from portal.domain.alarms import AlarmKind
from portal.domain.limited_names import held_names, is_about_names
from portal.domain.rate_limits import Event, read_limits, scopes
from portal.extensions import db
from portal.models.catalogue import CaAccount
from portal.services import alarms, ca_buckets

FAILURES_TO_OPEN = 5
SHORTEST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
#: How long the others wait for a probe; one that died with its process costs no more.
PROBE_TIME = timedelta(minutes=2)

#: The wait after a refusal for too many requests that names none.
USUAL_HOLD = timedelta(minutes=15)
#: Buckets of this name are names (or sets of names) that the CA takes no orders for until they are full.
HELD = "held"

_SUBJECT = CaAccount.__tablename__


def pause_after(failures: int) -> timedelta:
    """How long a CA is left alone after that many failures in a row."""
    doubled = min(max(failures - FAILURES_TO_OPEN, 0), 10)
    return min(SHORTEST_PAUSE * (1 << doubled), LONGEST_PAUSE)


def note_success(account: CaAccount, now: datetime) -> None:
    """The CA answered: the breaker closes. Commits if there was something to note; costs nothing while all is well."""
    is_over = account.limited_until is not None and account.limited_until <= now
    if not account.failures and account.open_until is None and not is_over:
        return
    values: dict[str, object] = {"failures": 0, "open_until": None}
    over = [AlarmKind.CA_UNAVAILABLE, AlarmKind.CA_ACCOUNT_LOST]
    if is_over:
        values["limited_until"] = None
        over.append(AlarmKind.CA_RATE_LIMITED)
    db.session.execute(update(CaAccount).where(CaAccount.id == account.id).values(**values))
    for kind in over:
        alarms.clear_alarm(kind, now, subject_type=_SUBJECT, subject_id=account.id)
    db.session.commit()


def note_failure(account: CaAccount, error: AdapterError, now: datetime, names: Sequence[str] = ()) -> None:
    """A call to this account failed; `names` are those of the order, so that a refusal of one name holds no other.

    Commits. An error that is an answer (a refusal, say) closes the breaker as a success does.
    """
    if error.code == "ca_unavailable":
        _count_failure(account, error, now)
    elif error.code == "ca_rate_limited":
        _hold(account, error, now, names)
    elif error.code == "ca_account_gone":
        # One failure, so that the answer to a new registration is noted, and clears the alarm.
        first = update(CaAccount).where(CaAccount.id == account.id, CaAccount.failures == 0)
        db.session.execute(first.values(failures=1).execution_options(synchronize_session=False))
        _raise(AlarmKind.CA_ACCOUNT_LOST, account, now)
    elif error.code == "validation_failed":
        _count_validation(account, (str(error.params["name"]),) if "name" in error.params else names, now)
    elif error.code.startswith("ca_"):
        note_success(account, now)
    db.session.commit()


def take_probe(account: CaAccount, now: datetime) -> bool:
    """Whether the caller may be the one to try an account that was left alone; within the caller's transaction."""
    if account.failures < FAILURES_TO_OPEN:
        return True
    seen = CaAccount.open_until.is_(None) if account.open_until is None else CaAccount.open_until <= now
    mine = update(CaAccount).where(CaAccount.id == account.id, seen).values(open_until=now + PROBE_TIME)
    return bool(db.session.execute(mine.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def _count_failure(account: CaAccount, error: AdapterError, now: datetime) -> None:
    """1. count it, whoever else counts too; 2. open or go on being open; a probe's failure ends its own wait early."""
    counted = update(CaAccount).where(CaAccount.id == account.id).values(failures=CaAccount.failures + 1)
    failures = db.session.scalar(counted.returning(CaAccount.failures)) or 0
    if failures < FAILURES_TO_OPEN:
        return
    until = now + pause_after(failures)
    db.session.execute(update(CaAccount).where(CaAccount.id == account.id).values(open_until=until))
    _raise(AlarmKind.CA_UNAVAILABLE, account, now, said=str(error.params.get("detail", "")))


def _hold(account: CaAccount, error: AdapterError, now: datetime, names: Sequence[str]) -> None:
    """Leave alone what the refusal is about: some names, or the account."""
    until = max(error.not_before or now + USUAL_HOLD, now)
    said = str(error.params.get("detail", ""))
    if held := held_names(said, names):
        for scope in held:
            seen = ca_buckets.read(account.id, [(HELD, scope)]).get((HELD, scope))
            ca_buckets.move(account.id, (HELD, scope), seen, lambda full_at: max(full_at or until, until))
        return
    if not names and is_about_names(said):
        return
    later = func.coalesce(CaAccount.limited_until, until) <= until
    mine = update(CaAccount).where(CaAccount.id == account.id, later).values(limited_until=until)
    db.session.execute(mine.execution_options(synchronize_session=False))
    _raise(AlarmKind.CA_RATE_LIMITED, account, now, said=said, until=until.isoformat())


def _count_validation(account: CaAccount, names: Sequence[str], now: datetime) -> None:
    """A name could not be proved: that counts at the CA, and stops orders for it here before it stops them there."""
    for limit in (one for one in read_limits(account.config) if one.event is Event.FAILURE):
        keys = [(limit.name, scope) for scope in scopes(limit, names)]
        seen = ca_buckets.read(account.id, keys)
        for key in keys:
            ca_buckets.move(account.id, key, seen.get(key), partial(limit.spend, now=now))


def _raise(kind: AlarmKind, account: CaAccount, now: datetime, **params: str) -> None:
    words = {"name": account.name, **{key: value for key, value in params.items() if value}}
    alarms.raise_alarm(kind, now, subject_type=_SUBJECT, subject_id=account.id, params=words)

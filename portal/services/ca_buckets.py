"""Token buckets in the database: read together, and moved only from what they were seen to be.

A move is INSERT … ON CONFLICT DO NOTHING, or UPDATE … WHERE full_at is still what was read (rowcount 1): of two who
take the last token one is refused. All of it is within the caller's transaction, and buckets are taken in the order of
their keys, so that two takers of several never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.extensions import db
from portal.models.authority import RateBucket

#: (limit or other name, scope)
Key = tuple[str, str]
Change = Callable[[datetime | None], datetime | None]

#: Every lost try means that somebody else got through.
_TRIES = 100


class BusyBucket(Exception):
    """Others were quicker, time and again."""


def read(account_id: str, keys: Iterable[Key]) -> dict[Key, datetime]:
    """The buckets that there are, in one look."""
    wanted = set(keys)
    if not wanted:
        return {}
    query = select(RateBucket.limit_name, RateBucket.scope, RateBucket.full_at).where(
        RateBucket.ca_account_id == account_id,
        RateBucket.limit_name.in_({name for name, _ in wanted}),
        RateBucket.scope.in_({scope for _, scope in wanted}),
    )
    rows = db.session.execute(query)
    return {(name, scope): full_at for name, scope, full_at in rows if (name, scope) in wanted}


def move(account_id: str, key: Key, known: datetime | None, change: Change) -> datetime | None:
    """Move a bucket from wherever it is now; `known` is where it was seen. Returns what it became.

    None where `change` refuses. Raises BusyBucket.
    """
    for _ in range(_TRIES):
        after = change(known)
        if after is None or put(account_id, key, known, after):
            return after
        known = read(account_id, [key]).get(key)
    raise BusyBucket


def put(account_id: str, key: Key, before: datetime | None, after: datetime) -> bool:
    """Move a bucket that still is where it was seen; whether it was."""
    name, scope = key
    values = {"ca_account_id": account_id, "limit_name": name, "scope": scope}
    if before is None:
        dialect = postgresql if db.session.connection().dialect.name == "postgresql" else sqlite
        new = dialect.insert(RateBucket).values(**values, full_at=after).on_conflict_do_nothing()
        # Counted by the row that comes back: the row count of such an INSERT is not known on every database.
        return db.session.scalar(new.returning(RateBucket.scope)) is not None
    same = update(RateBucket).filter_by(**values).where(RateBucket.full_at == before)
    moved = db.session.execute(same.values(full_at=after).execution_options(synchronize_session=False))
    return moved.rowcount == 1  # type: ignore[attr-defined, no-any-return]


def fullest(account_id: str, now: datetime, limit: int = 200) -> Mapping[Key, datetime]:
    """The buckets that are not full, the emptiest first."""
    query = (
        select(RateBucket.limit_name, RateBucket.scope, RateBucket.full_at)
        .where(RateBucket.ca_account_id == account_id, RateBucket.full_at > now)
        .order_by(RateBucket.full_at.desc())
        .limit(limit)
    )
    return {(name, scope): full_at for name, scope, full_at in db.session.execute(query)}


def forget_full(now: datetime) -> None:
    """Delete buckets that are full again: no row says the same. Within the caller's transaction."""
    db.session.execute(delete(RateBucket).where(RateBucket.full_at <= now))


def forget(account_id: str, name: str) -> None:
    """Delete an account's buckets of one name, within the caller's transaction."""
    db.session.execute(
        delete(RateBucket).where(RateBucket.ca_account_id == account_id, RateBucket.limit_name == name)
    )

"""Whether this process may start: with the wrong master keys it must not, since it would seal under them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal.adapters.key_vault import VaultError
from portal.extensions import db
from portal.models.hosting import Renewal
from portal.services.private_keys import vault
from portal.services.rewrapping import SEALED_COLUMNS, SealedColumn

log = structlog.get_logger(__name__)

#: Rows at either end of a table among which a sealed value is looked for.
LOOKED_AT = 500

#: Where sealed values are the exception: renewals have a key only while they are under way.
_LIVE: Mapping[Any, tuple[Any, ...]] = {
    Renewal: (Renewal.started_at.is_not(None), Renewal.finished_at.is_(None)),
}


class WrongMasterKeysError(Exception):
    """The configured master keys do not open what is stored; the text says which, and what to do."""


def check_master_keys() -> int:
    """Open a few of the sealed values that there are; returns how many were tried.

    Of each sealed column the first and the last by id, which are the first and the last that a rotation wraps anew.
    Raises WrongMasterKeysError, SQLAlchemyError.
    """
    tried = 0
    try:
        for column in SEALED_COLUMNS:
            tried += _try(column)
    except VaultError as error:
        raise WrongMasterKeysError(
            f"the master keys do not open what is stored ({error}); configure the ones that it was sealed under"
        ) from None
    finally:
        db.session.rollback()
    return tried


def refuse_wrong_keys(program: str) -> None:
    """End this process with one line where its master keys are wrong.

    A database that cannot be asked, or is not migrated yet, holds nobody up: every process outlives that by itself.
    Raises SystemExit.
    """
    try:
        check_master_keys()
    except WrongMasterKeysError as error:
        raise SystemExit(f"{program}: {error}") from None
    except SQLAlchemyError as error:
        log.warning("master_keys_not_checked", error=type(error).__name__)


def _try(column: SealedColumn) -> int:
    model = column.model
    rows = {}
    for order in (model.id, model.id.desc()):
        # The few at either end, so that a table without sealed values is not read as a whole.
        end = select(model.id).where(*_LIVE.get(model, ())).order_by(order).limit(LOOKED_AT).subquery()
        sealed = select(model).where(
            model.id.in_(select(end.c.id)), getattr(model, column.column).is_not(None)
        )
        row = db.session.scalar(sealed.order_by(order).limit(1))
        if row is not None:
            rows[row.id] = row
    for row in rows.values():
        vault().open(getattr(row, column.column), column.place(row))
    return len(rows)

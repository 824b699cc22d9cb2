"""Whether there is room for what a CA would issue: a certificate that cannot be stored must not be ordered."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from portal.adapters.errors import AdapterError
from portal.domain.alarms import AlarmKind
from portal.extensions import db
from portal.services import alarms
from portal.services.operations import settings
from portal.settings import Settings

log = structlog.get_logger(__name__)

#: What is left free (bytes): a few hundred issuances with their history, and the alarm that says it is nearly full.
ROOM = 16 * 1024 * 1024

#: The size of the write that is tried (bytes): limits that no count of free bytes shows (quotas) refuse it.
PROBE = 64 * 1024


def check_room(now: datetime) -> None:
    """Refuse to go on while there is no room; call it before an order, with no transaction open.

    On PostgreSQL the order's own row, written before the CA is asked, is the test. On SQLite the database's folder
    must take a small file and have some room left. Raises AdapterError("storage_full", temporary), having raised an
    alarm in a transaction of its own where even that fits; once there is room the alarm is cleared.
    """
    if not settings().is_sqlite:
        return
    if has_room(settings()):
        alarms.clear_again(AlarmKind.STORAGE_FULL, now)
        db.session.commit()
        return
    try:
        alarms.raise_alarm(AlarmKind.STORAGE_FULL, now, params={"name": str(_folder(settings()))})
        db.session.commit()
    except SQLAlchemyError as error:
        # The watchdog sees the same, and mails without the database.
        db.session.rollback()
        log.error("storage_full_alarm_not_stored", error=type(error).__name__)
    raise AdapterError("storage_full", permanent=False)


def has_room(settings: Settings) -> bool:
    """Whether the folder of a SQLite database takes more; True where the database is elsewhere."""
    if not settings.is_sqlite:
        return True
    folder = _folder(settings)
    try:
        if shutil.disk_usage(folder).free < ROOM:
            return False
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            return probe.write(os.urandom(16) * (PROBE // 16)) == PROBE
    except OSError:
        return False


def _folder(settings: Settings) -> Path:
    return Path(make_url(settings.database_url).database or settings.data_dir).absolute().parent

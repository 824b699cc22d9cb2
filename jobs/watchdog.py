"""The watchdog: a process that needs neither Redis nor RQ nor a worker, and says so when one of them is gone.

Every half minute it reads the database, raises and clears alarms, mails what nobody else has mailed, and, if nothing is
wrong, asks an outside address that misses it otherwise. It goes on without the database too: that is an alarm as well.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import datetime
from types import FrameType
from typing import NoReturn

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.adapters.errors import AdapterError
from portal.adapters.heartbeat import ping
from portal.app import create_core
from portal.clock import utc_now
from portal.domain.alarms import AlarmKind
from portal.domain.watching import rung_of
from portal.extensions import db
from portal.services import alarm_mail, storage, watching
from portal.settings import Settings, from_env

log = structlog.get_logger(__name__)


class Watchdog:
    """Looks again and again; what it knows itself is since when it looks and whom to tell without a database."""

    def __init__(self, app: Flask, clock: Callable[[], datetime] = utc_now) -> None:
        self._app = app
        self._clock = clock
        self._settings: Settings = app.extensions["settings"]
        self._people_file = self._settings.data_dir / "watchdog.operators"
        self._people = alarm_mail.recall(self._people_file)
        self._since = clock()
        self._away_since: datetime | None = None
        self._told_rung = -1

    def run(self) -> NoReturn:
        """For ever, whatever happens to the database, the mail server or the address outside."""
        while True:
            with self._app.app_context():
                self.round()
            time.sleep(self._settings.watch_seconds)

    def round(self) -> bool:
        """One look; whether all is well."""
        try:
            is_well = self._with_database(self._clock())
        except SQLAlchemyError as error:
            db.session.rollback()
            log.error("watchdog_without_database", error=type(error).__name__)
            self._without_database(self._clock())
            is_well = False
        finally:
            db.session.remove()
        log.info("watched", is_well=is_well)
        if is_well:
            self._tell_outside()
        return is_well

    def _with_database(self, now: datetime) -> bool:
        is_well = watching.watch(self._settings, now, self._since)
        self._people = alarm_mail.operators()
        self._keep_people()
        self._away_since, self._told_rung = None, -1
        return alarm_mail.deliver(now) and is_well

    def _keep_people(self) -> None:
        try:
            alarm_mail.remember(self._people, self._people_file)
        except OSError as error:
            log.error("operators_not_kept", error=error.strerror)

    def _without_database(self, now: datetime) -> None:
        """Mail when it has lasted longer than a hiccup, and again on each step of how long it lasts."""
        self._away_since = self._away_since or now
        lasted = now - self._away_since
        rung = rung_of(lasted)
        if lasted.total_seconds() < self._settings.alarm_grace or rung <= self._told_rung:
            return
        kind = AlarmKind.DATABASE_AWAY if storage.has_room(self._settings) else AlarmKind.STORAGE_FULL
        words = {"minutes": int(lasted.total_seconds() // 60)}
        if alarm_mail.mail_directly(self._people, kind, words, now):
            self._told_rung = rung

    def _tell_outside(self) -> None:
        url, networks = self._settings.heartbeat_url, self._settings.allowed_networks
        if not url:
            return
        try:
            ping(url, timeout=self._settings.step_timeout, allowed_networks=networks)
        except AdapterError as error:
            log.error("heartbeat_failed", code=error.code)


def end(_number: int, _frame: FrameType | None) -> NoReturn:
    """At once, in the middle of anything: what was begun is begun again by the next watchdog."""
    log.info("watchdog_stopped")
    raise SystemExit(0)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = from_env()
    logs.configure(settings.log_json)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    app = create_core(settings, with_redis=False)
    log.info("watchdog_started")
    Watchdog(app).run()


if __name__ == "__main__":
    main()

"""Checking an installation: an ordered list of small checks, each saying what it found and what would mend it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from alembic.script import ScriptDirectory
from flask import current_app
from redis.exceptions import RedisError
from rq.worker import Worker
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal.adapters.channel.email import SmtpChannel
from portal.adapters.errors import AdapterError
from portal.adapters.key_vault import VaultError
from portal.database import database_now
from portal.domain.errors import DomainError
from portal.doorbell import EvictingRedisError, redis_connection, refuse_eviction
from portal.extensions import db
from portal.models.account import User
from portal.models.catalogue import PriceBook, Product
from portal.services import alarm_board, heartbeats, rewrapping, scanning, watching
from portal.services.findings import Check, Finding, Health
from portal.services.outside_checks import (
    ca_accounts_check,
    cloud_accounts_check,
    delegation_check,
    payment_check,
)
from portal.settings import Settings

LOW_DISK, NO_DISK = 1_000_000_000, 100_000_000
OLDEST_REDIS = (6, 0)
NOTED_SKEW, WRONG_SKEW = timedelta(seconds=2), timedelta(seconds=30)
LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: What a check may raise; any of it means that the thing it looks at is broken.
TROUBLES = (SQLAlchemyError, RedisError, OSError, AdapterError, DomainError, VaultError)


def examine(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Run every check, in the order in which one would mend things."""
    for check in CHECKS:
        try:
            yield check.look(settings, now)
        except TROUBLES as error:
            db.session.rollback()
            yield Finding(check.name, Health.BROKEN, _words(error), check.mend)


def _words(error: Exception) -> str:
    """An error in a line, without what it may quote."""
    if isinstance(error, AdapterError | DomainError | VaultError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _data_folder(settings: Settings, _now: datetime) -> Finding:
    name = "data folder"
    probe = settings.data_dir / f".doctor-{os.getpid()}"
    probe.write_bytes(b"")
    probe.unlink()
    free = shutil.disk_usage(settings.data_dir).free
    detail = f"{settings.data_dir} is writable, {free / 1e9:.1f} GB free"
    if free < LOW_DISK:
        health = Health.BROKEN if free < NO_DISK else Health.WARNING
        return Finding(name, health, detail, "make room on this disk")
    return Finding(name, Health.OK, detail)


def _database(settings: Settings, _now: datetime) -> Finding:
    db.session.execute(text("SELECT 1"))
    kind = "SQLite" if settings.is_sqlite else db.engine.dialect.name
    return Finding("database", Health.OK, f"{kind} answers")


def _schema(_settings: Settings, _now: datetime) -> Finding:
    head = ScriptDirectory(f"{current_app.root_path}/migrations").get_current_head()
    present = db.session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if present != head:
        return Finding("schema", Health.BROKEN, f"at {present}, the newest is {head}", "portal db upgrade")
    return Finding("schema", Health.OK, f"at the newest revision, {head}")


def _clock(_settings: Settings, _now: datetime) -> Finding:
    """Against the clock at this moment: the other checks before this one took their time."""
    there: Any = db.session.scalar(select(database_now()))
    skew = abs(datetime.now(UTC) - there)
    detail = f"{skew.total_seconds():.1f} s between this machine and the database"
    if skew < NOTED_SKEW:
        return Finding("clock", Health.OK, detail)
    return Finding(
        "clock", Health.BROKEN if skew > WRONG_SKEW else Health.WARNING, detail, "run an NTP client on both"
    )


def _master_keys(settings: Settings, _now: datetime) -> Finding:
    name = "master keys"
    counted = rewrapping.check_all()
    detail = f"{len(settings.master_keys)} configured, all {counted} sealed values open"
    path = settings.master_keys_file
    if path is not None and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding(name, Health.WARNING, f"{detail}, but others can read {path}", f"chmod 600 {path}")
    return Finding(name, Health.OK, detail)


def _redis(_settings: Settings, _now: datetime) -> Finding:
    info: Any = redis_connection().info("server")
    version = str(info.get("redis_version", "0"))
    try:
        refuse_eviction(redis_connection())
    except EvictingRedisError as error:
        return Finding(
            "redis", Health.BROKEN, str(error), "set maxmemory-policy noeviction; workers refuse this one"
        )
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        return Finding("redis", Health.WARNING, f"version {version}", "upgrade to Redis 6 or newer")
    return Finding("redis", Health.OK, f"version {version}, noeviction")


def _workers(_settings: Settings, _now: datetime) -> Finding:
    count = Worker.count(connection=redis_connection())
    if not count:
        return Finding("workers", Health.BROKEN, "none", "start one: python -m jobs.worker, or portal up")
    return Finding("workers", Health.OK, f"{count} at work")


def _scheduler(settings: Settings, now: datetime) -> Finding:
    last = heartbeats.last_beat(heartbeats.SCHEDULER)
    late = watching.limits(settings).scheduler.total_seconds()
    if heartbeats.is_silent(heartbeats.SCHEDULER, now, late):
        detail = "never heard of" if last is None else f"silent since {last:%Y-%m-%d %H:%M:%S} UTC"
        return Finding("scheduler", Health.BROKEN, detail, "start it: python -m jobs.schedule, or portal up")
    return Finding("scheduler", Health.OK, f"heard {(now - (last or now)).total_seconds():.0f} s ago")


def _scan(settings: Settings, now: datetime) -> Finding:
    last = heartbeats.last_beat(scanning.SCAN)
    late = watching.limits(settings).scan.total_seconds()
    if heartbeats.is_silent(scanning.SCAN, now, late):
        detail = "never finished" if last is None else f"last finished {last:%Y-%m-%d %H:%M:%S} UTC"
        return Finding(
            "expiry scan", Health.BROKEN, detail, "see the workers' log; portal scan runs one here"
        )
    return Finding("expiry scan", Health.OK, f"finished {(now - (last or now)).total_seconds():.0f} s ago")


def _watchdog(settings: Settings, now: datetime) -> Finding:
    last = heartbeats.last_beat(heartbeats.WATCHDOG)
    late = watching.silence_limits(settings)[heartbeats.WATCHDOG].total_seconds()
    if heartbeats.is_silent(heartbeats.WATCHDOG, now, late):
        detail = "never heard of" if last is None else f"silent since {last:%Y-%m-%d %H:%M:%S} UTC"
        return Finding("watchdog", Health.WARNING, detail, "start it: python -m jobs.watchdog, or portal up")
    return Finding("watchdog", Health.OK, f"heard {(now - (last or now)).total_seconds():.0f} s ago")


def _alarms(_settings: Settings, _now: datetime) -> Finding:
    counts = alarm_board.read().counts
    if counts:
        detail = ", ".join(f"{kind.value}: {count}" for kind, count in counts.items())
        return Finding("alarms", Health.WARNING, detail, "see the operator page, which says what to do")
    return Finding("alarms", Health.OK, "none is open")


def _base_url(settings: Settings, _now: datetime) -> Finding:
    name, url = "base address", settings.base_url
    parts = urlsplit(url)
    if not parts.hostname:
        return Finding(name, Health.BROKEN, f"PORTAL_BASE_URL is no address: {url}", "set it to https://…")
    try:
        answer = requests.get(f"{url}/healthz", timeout=5).status_code
    except requests.RequestException as error:
        return Finding(
            name, Health.WARNING, f"{url}: {type(error).__name__} from here", "start the web, check the proxy"
        )
    if answer != 200:
        return Finding(
            name, Health.WARNING, f"{url}/healthz answers {answer}", "check the proxy and PORTAL_BASE_URL"
        )
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        return Finding(
            name, Health.WARNING, f"{url} is not https", "put a TLS proxy in front, set PORTAL_BASE_URL"
        )
    return Finding(name, Health.OK, f"{url} answers")


def _mail(settings: Settings, _now: datetime) -> Finding:
    SmtpChannel(settings).check()
    return Finding("mail", Health.OK, f"{urlsplit(settings.mail_url).hostname} takes us in")


def _operator(_settings: Settings, _now: datetime) -> Finding:
    count = db.session.scalar(select(func.count()).select_from(User).where(User.is_operator))
    if not count:
        return Finding("operators", Health.WARNING, "none", "portal create-operator EMAIL")
    return Finding("operators", Health.OK, str(count))


def _catalogue(_settings: Settings, _now: datetime) -> Finding:
    products = db.session.scalar(select(func.count()).select_from(Product).where(Product.is_on_sale))
    editions = db.session.scalar(select(func.count()).select_from(PriceBook))
    if not products or not editions:
        return Finding("catalogue", Health.WARNING, "nothing is on sale", "portal catalog load FILE.toml")
    return Finding("catalogue", Health.OK, f"{products} products on sale")


CHECKS = (
    Check("data folder", _data_folder, "let this user write to PORTAL_DATA_DIR"),
    Check("database", _database, "start it, and check PORTAL_DATABASE_URL"),
    Check("schema", _schema, "portal db upgrade"),
    Check("clock", _clock, "mend the database first"),
    Check("master keys", _master_keys, "bring back the master key that these values were sealed under"),
    Check("redis", _redis, "start it (portal up brings its own), and check PORTAL_REDIS_URL"),
    Check("workers", _workers, "mend Redis first"),
    Check("scheduler", _scheduler, "mend the database first"),
    Check("expiry scan", _scan, "mend the database first"),
    Check("watchdog", _watchdog, "mend the database first"),
    Check("alarms", _alarms, "mend the database first"),
    Check("base address", _base_url, "check PORTAL_BASE_URL"),
    Check("mail", _mail, "check PORTAL_MAIL_URL: without mail nobody is told anything"),
    Check("operators", _operator, "mend the database first"),
    Check("CA accounts", ca_accounts_check, "check the way to this CA, and its account"),
    Check("delegation zone", delegation_check, "mend its DNS provider, then: portal delegation probe"),
    Check("catalogue", _catalogue, "mend the database first"),
    Check("cloud accounts", cloud_accounts_check, "mend the database first"),
    Check("payment", payment_check, "check PORTAL_PAYMENT_GATEWAY"),
)

"""Alarms: what an operator must know of, open until it is over."""

from __future__ import annotations

from enum import StrEnum


class AlarmKind(StrEnum):
    """Named for what is wrong."""

    RENEWAL_LATE = "renewal_late"
    SCAN_SILENT = "scan_silent"
    SCHEDULER_SILENT = "scheduler_silent"
    WORKERS_SILENT = "workers_silent"
    WORK_OVERDUE = "work_overdue"
    NOTICES_STUCK = "notices_stuck"
    REDIS_AWAY = "redis_away"
    SCHEDULE_DAMAGED = "schedule_damaged"
    CLOCK_WRONG = "clock_wrong"
    STORAGE_FULL = "storage_full"
    CA_UNAVAILABLE = "ca_unavailable"
    CA_RATE_LIMITED = "ca_rate_limited"
    CA_ACCOUNT_LOST = "ca_account_lost"
    VALIDATION_BROKEN = "validation_broken"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CREDENTIAL_REFUSED = "credential_refused"
    DELEGATION_ZONE_BROKEN = "delegation_zone_broken"
    MANUAL_ORDER = "manual_order"

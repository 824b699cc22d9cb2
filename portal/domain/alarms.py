"""Alarms: what an operator must know of, open until it is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from portal.domain import validation
from portal.domain.due import ALARM_PARTS
from portal.domain.renewal import lead_time


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
    DATABASE_AWAY = "database_away"


_K = AlarmKind

#: How bad a kind is, the worst at 0: nothing works; something will expire; something is worth a look today.
SEVERITY: Mapping[AlarmKind, int] = {
    _K.DATABASE_AWAY: 0,
    _K.STORAGE_FULL: 0,
    _K.WORKERS_SILENT: 0,
    _K.SCAN_SILENT: 0,
    _K.CLOCK_WRONG: 0,
    _K.RENEWAL_LATE: 1,
    _K.CERTIFICATE_REVOKED: 1,
    _K.WORK_OVERDUE: 1,
    _K.NOTICES_STUCK: 1,
    _K.SCHEDULER_SILENT: 1,
    _K.REDIS_AWAY: 1,
    _K.DELEGATION_ZONE_BROKEN: 1,
    _K.CA_ACCOUNT_LOST: 2,
    _K.CA_UNAVAILABLE: 2,
    _K.CA_RATE_LIMITED: 2,
    _K.CREDENTIAL_REFUSED: 2,
    _K.VALIDATION_BROKEN: 2,
    _K.SCHEDULE_DAMAGED: 2,
    _K.MANUAL_ORDER: 2,
}

#: All kinds, the worst first.
RANK: Mapping[AlarmKind, int] = {
    kind: place for place, kind in enumerate(sorted(SEVERITY, key=lambda one: SEVERITY[one]))
}

#: From this step of the ladder on the customer's contacts are told too, if they can mend what holds the renewal up.
CONTACTS_FROM_RUNG = 2

#: What stops a renewal and lies with the customer. Everything else is the operators' to mend.
CUSTOMER_CAN_MEND = (
    frozenset(
        {
            "bound_another",
            "cloud_credentials",
            "cloud_permission",
            "cloud_target_gone",
            "cloud_target_refused",
            "csr_key_compromised",
            "csr_missing",
            "dns_delegation_broken",
            "dns_delegation_foreign",
            "dns_outside_zone",
            "name_held_by_another",
            "live_unreachable",
            "not_live",
            "validation_failed",
            "ca_order_refused",
        }
    )
    | validation.CUSTOMER_CAN_MEND
)


def patience_until(created_at: datetime, not_before: datetime, not_after: datetime) -> datetime:
    """Until when a renewal that began deep in the lead time is not called late: it was given no more time than that.

    With 30 days of lead that is a day; never longer than the certificate lives.
    """
    return min(created_at + lead_time(not_before, not_after) * ALARM_PARTS[-2], not_after)

"""What an alarm says, and what an operator does about it. Which thing it is about stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

ALARMS: Mapping[str, Any] = {
    "alarm_ca_account_lost": _l("A CA no longer knows our account"),
    "alarm_ca_rate_limited": _l("A CA limits us"),
    "alarm_ca_unavailable": _l("A CA is away"),
    "alarm_certificate_revoked": _l("A hosted certificate was revoked"),
    "alarm_clock_wrong": _l("Two clocks disagree by more than ten minutes"),
    "alarm_credential_refused": _l("An access key is refused"),
    "alarm_database_away": _l("The database cannot be reached"),
    "alarm_delegation_zone_broken": _l("The zone for domain validation is broken"),
    "alarm_manual_order": _l("A certificate waits to be ordered by hand"),
    "alarm_notices_stuck": _l("Mails are not going out"),
    "alarm_redis_away": _l("Redis is away"),
    "alarm_renewal_late": _l("A renewal is late"),
    "alarm_scan_silent": _l("The expiry scan has stopped"),
    "alarm_schedule_damaged": _l("The schedule was damaged"),
    "alarm_scheduler_silent": _l("The scheduler is silent"),
    "alarm_storage_full": _l("There is no room to store what a CA would issue"),
    "alarm_validation_broken": _l("A hosted domain could not be validated today"),
    "alarm_work_overdue": _l("Work is due and nobody does it"),
    "alarm_workers_silent": _l("No worker is running"),
}

MENDING: Mapping[str, Any] = {
    "mend_ca_account_lost": _l(
        "A new account is made by itself. Ask the CA why it forgot the old one; with EAB, check that its key holds."
    ),
    "mend_ca_rate_limited": _l(
        "Renewals wait until the CA takes orders again. If it lasts, ask the CA for a higher limit or add an account."
    ),
    "mend_ca_unavailable": _l(
        "Renewals wait and are tried again, or go to a fallback account. Look at its status page and at our way out."
    ),
    "mend_certificate_revoked": _l(
        "It is being replaced. Find out who revoked it and why: after a key compromise the old key must go everywhere."
    ),
    "mend_clock_wrong": _l(
        "Nothing new is started until they agree. Run an NTP client on this machine and on the database's."
    ),
    "mend_credential_refused": _l("Ask its owner for a new one; renewals that need it wait."),
    "mend_database_away": _l(
        "Nothing is renewed until it is back. Start it, check PORTAL_DATABASE_URL and the network between."
    ),
    "mend_delegation_zone_broken": _l(
        "Names that are delegated to the service cannot be validated. Check the zone and its provider: portal doctor."
    ),
    "mend_manual_order": _l(
        "Hand its request in to the CA and bring the certificate back, on the operator's page."
    ),
    "mend_notices_stuck": _l(
        "Check the mail server and PORTAL_MAIL_URL: portal doctor tries it. Nothing is lost."
    ),
    "mend_redis_away": _l(
        "Nothing is lost, but nothing is rung for. Start Redis; everything due is done by itself afterwards."
    ),
    "mend_renewal_late": _l("See what holds it up; the certificate is served until it expires."),
    "mend_scan_silent": _l(
        "Nothing that falls due is noticed. Start a worker and the scheduler; portal scan does one by hand."
    ),
    "mend_schedule_damaged": _l(
        "It has been mended. If it happens again, find out who else writes to this Redis."
    ),
    "mend_scheduler_silent": _l(
        "Workers ring in its place, more slowly. Start it again: python -m jobs.schedule."
    ),
    "mend_storage_full": _l(
        "No certificate is ordered meanwhile. Make room on the disk of the database and of the data folder."
    ),
    "mend_validation_broken": _l(
        "Its next renewal would fail. The customer is told what to change; see the certificate's page."
    ),
    "mend_work_overdue": _l(
        "Look at the workers' log and the failed jobs; start more workers if they are only busy."
    ),
    "mend_workers_silent": _l(
        "Nothing is renewed until one is started: python -m jobs.worker, or portal up."
    ),
}

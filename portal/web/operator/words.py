"""What jobs, queues and kinds of work are called on the operator's pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l

from portal.domain.checks import CheckSubject
from portal.domain.notices import NoticeKind
from portal.queue import JobName, QueueName
from portal.web.labels import label


class Word(NamedTuple):
    label: Any
    icon: str


KINDS: Mapping[str, Word] = {
    "renewal": Word(_l("Renewal"), "refresh-dot"),
    "deployment": Word(_l("Deployment"), "cloud-upload"),
    "order": Word(_l("Order"), "receipt"),
    "revocation": Word(_l("Revocation"), "circle-x"),
    "notice": Word(_l("Mail"), "mail"),
    "check": Word(_l("Repeated check"), "world-check"),
}

QUEUES: Mapping[QueueName, Any] = {
    QueueName.CLOCK: _l("Clock"),
    QueueName.RENEWAL: _l("Renewals and orders"),
    QueueName.DEPLOYMENT: _l("Deployments"),
    QueueName.NOTICE: _l("Mails"),
    QueueName.CHECK: _l("Checks"),
    QueueName.KEY: _l("RSA keys"),
}

JOBS: Mapping[JobName, Any] = {
    JobName.TICK: _l("Expiry scan"),
    JobName.SWEEP: _l("Sweep of everything due"),
    JobName.ADVANCE_RENEWALS: _l("Advance renewals"),
    JobName.ADVANCE_DEPLOYMENTS: _l("Advance deployments"),
    JobName.ADVANCE_ORDERS: _l("Advance orders"),
    JobName.SEND_NOTICES: _l("Send mails"),
    JobName.HOUSEKEEPING: _l("Housekeeping"),
    JobName.MAKE_KEYS: _l("Make RSA keys"),
    JobName.ADVANCE_CHECKS: _l("Look at hosted certificates"),
    JobName.ADVANCE_REVOCATIONS: _l("Advance revocations"),
    JobName.READ_CRLS: _l("Read revocation lists"),
    JobName.ADVANCE_REPLACEMENTS: _l("Advance mass replacements"),
}

NOTICES: Mapping[NoticeKind, Any] = {
    NoticeKind.CONFIRM_EMAIL: _l("Confirm address"),
    NoticeKind.RESET_PASSWORD: _l("New password"),
    NoticeKind.INVITATION: _l("Invitation"),
    NoticeKind.ORDER_PAID: _l("Order paid"),
    NoticeKind.HOSTING_TURNED_ON: _l("Hosting turned on"),
    NoticeKind.RENEWED: _l("Renewed"),
    NoticeKind.PLEASE_INSTALL: _l("Please install"),
    NoticeKind.NOT_LIVE: _l("Renewed but not live"),
    NoticeKind.ACTION_REQUIRED: _l("Action required"),
    NoticeKind.HOSTING_FAILED: _l("Hosting failed"),
    NoticeKind.TERM_ENDING: _l("Term ending"),
    NoticeKind.ALARM: _l("Alarm"),
    NoticeKind.REVOKED: _l("Revoked"),
}

#: The processes that leave heartbeats, and what they are called.
HEARTBEATS: Mapping[str, Any] = {
    "scheduler": _l("Scheduler"),
    "scan": _l("Last finished scan"),
    "watchdog": _l("Watchdog"),
}


def job_name(job: JobName | None) -> Any:
    """A job's name; a job that is none of ours says so."""
    return JOBS[job] if job is not None else _l("Foreign job")


def note(kind: str, text: str) -> Any:
    """The second line of a piece of work: a cloud product, the kind of a mail, what a check is about."""
    if kind == "notice":
        return NOTICES[NoticeKind(text)]
    if kind == "check":
        return label(CheckSubject(text))
    return text.upper()

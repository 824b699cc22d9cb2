"""Which jobs there are, and ringing for them: by name, after the database has committed. Needs neither Redis nor RQ.

Losing a ring changes nothing (ADR 0003). What rings is the app's: `portal.doorbell` where there is a Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from flask import current_app
from sqlalchemy import event
from sqlalchemy.orm import Session, scoped_session


class QueueName(StrEnum):
    """In the order in which workers take from them; making RSA keys (up to a second each) comes after all else."""

    CLOCK = "clock"
    RENEWAL = "renewal"
    DEPLOYMENT = "deployment"
    NOTICE = "notice"
    CHECK = "check"
    KEY = "key"


class JobName(StrEnum):
    """Every function that a worker may run. Dotted strings keep the portal from importing the jobs."""

    TICK = "jobs.expiry_scan.tick"
    SWEEP = "jobs.expiry_scan.sweep"
    ADVANCE_RENEWALS = "jobs.renewal.advance"
    ADVANCE_DEPLOYMENTS = "jobs.deployment.advance"
    ADVANCE_ORDERS = "jobs.orders.advance"
    MAKE_KEYS = "jobs.renewal.make_keys"
    SEND_NOTICES = "jobs.notices.send"
    ADVANCE_CHECKS = "jobs.checks.advance"
    ADVANCE_REVOCATIONS = "jobs.revocation.advance"
    READ_CRLS = "jobs.revocation.read_crls"
    ADVANCE_REPLACEMENTS = "jobs.replacement.advance"
    HOUSEKEEPING = "jobs.housekeeping.clean"


QUEUE_OF: dict[JobName, QueueName] = {
    JobName.TICK: QueueName.CLOCK,
    JobName.SWEEP: QueueName.CLOCK,
    JobName.HOUSEKEEPING: QueueName.CLOCK,
    JobName.ADVANCE_RENEWALS: QueueName.RENEWAL,
    JobName.ADVANCE_ORDERS: QueueName.RENEWAL,
    JobName.ADVANCE_DEPLOYMENTS: QueueName.DEPLOYMENT,
    JobName.SEND_NOTICES: QueueName.NOTICE,
    JobName.ADVANCE_CHECKS: QueueName.CHECK,
    JobName.READ_CRLS: QueueName.CHECK,
    JobName.ADVANCE_REVOCATIONS: QueueName.RENEWAL,
    JobName.ADVANCE_REPLACEMENTS: QueueName.RENEWAL,
    JobName.MAKE_KEYS: QueueName.KEY,
}


#: Enqueues a job for some ids; False where it could not.
Bell = Callable[[JobName, Sequence[str]], bool]


def ring(job: JobName, ids: Sequence[str]) -> bool:
    """Have `job` run for the ids soon. False if nothing rang: the next sweep rings again."""
    bell: Bell = current_app.extensions["ring"]
    return bell(job, ids)


def silent(_job: JobName, _ids: Sequence[str]) -> bool:
    """The bell of a process that has no Redis: whatever is due is found by the next scan."""
    return False


def enqueue_after_commit(
    session: Session | scoped_session[Session], job: JobName, ids: Iterable[str]
) -> None:
    """Ring once this transaction has committed; not at all if it is rolled back."""
    rings: dict[JobName, list[str]] = session.info.setdefault("rings", {})
    known = rings.setdefault(job, [])
    known.extend(one for one in ids if one not in known)


@event.listens_for(Session, "after_commit")
def _ring_all(session: Session) -> None:
    for job, ids in session.info.pop("rings", {}).items():
        ring(job, ids)


@event.listens_for(Session, "after_rollback")
def _forget_all(session: Session) -> None:
    session.info.pop("rings", None)

"""The rows behind a hosting's checks: added when it is turned on, hurried by people, ended with it.

How a check is made: `hosting_checks`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, select, update

from portal.domain.checks import TRANSITIONS, CheckEvent, CheckState, CheckSubject
from portal.domain.errors import DomainError
from portal.domain.states import advance
from portal.extensions import db
from portal.models.hosting import Hosting
from portal.models.types import new_id
from portal.models.validation import HostingCheck
from portal.queue import JobName, enqueue_after_commit
from portal.services import acting
from portal.services.acting import Actor, note_change
from portal.services.operations import WORKER_ACTOR


def begin(hosting: Hosting, now: datetime) -> None:
    """Add the checks of a hosting, or start those that ended, within the caller's transaction. The first look is now.

    Safe to repeat: a check that runs goes on as it is.
    """
    known = {row.subject: row for row in db.session.scalars(_of(hosting.id))}
    for subject in CheckSubject:
        row = known.get(subject)
        if row is None:
            db.session.add(_new(hosting, subject, now))
        elif row.state is CheckState.ENDED:
            _begin_again(row, now)


def look_again(hosting: Hosting, subject: CheckSubject, now: datetime) -> None:
    """Make one check due now, within the caller's transaction; one that has ended stays so."""
    rows = _of(hosting.id).where(HostingCheck.subject == subject, HostingCheck.state == CheckState.ACTIVE)
    for row in db.session.scalars(rows):
        later = update(HostingCheck).where(HostingCheck.id == row.id, HostingCheck.next_attempt_at > now)
        db.session.execute(later.values(next_attempt_at=now, rung_until=None))
        enqueue_after_commit(db.session(), JobName.ADVANCE_CHECKS, [row.id])


def look_by(hosting: Hosting, subject: CheckSubject, at: datetime) -> None:
    """See to it that one check is made by then at the latest, within the caller's transaction. Nobody rings."""
    later = update(HostingCheck).where(
        HostingCheck.hosting_id == hosting.id,
        HostingCheck.subject == subject,
        HostingCheck.state == CheckState.ACTIVE,
        HostingCheck.next_attempt_at > at,
    )
    moved = later.values(next_attempt_at=at, rung_until=None)
    db.session.execute(moved.execution_options(synchronize_session=False))


def look_now(hosting_id: str, subject: CheckSubject, actor: Actor, now: datetime) -> None:
    """Somebody wants to see at once whether what was changed has helped. Raises DomainError("hosting_not_found")."""
    owned = select(Hosting).where(Hosting.id == hosting_id, Hosting.organisation_id == actor.organisation_id)
    hosting = db.session.scalar(owned)
    if hosting is None:
        raise DomainError("hosting_not_found")
    look_again(hosting, subject, now)
    acting.audit(actor, "hosting.look_now", "hostings", hosting.id, now, subject=subject.value)
    db.session.commit()


def end(hosting: Hosting) -> None:
    """The hosting is over, within the caller's transaction: each check becomes due, sees that, and ends itself."""
    running = update(HostingCheck).where(
        HostingCheck.hosting_id == hosting.id, HostingCheck.state == CheckState.ACTIVE
    )
    db.session.execute(running.values(next_attempt_at=HostingCheck.created_at, rung_until=None))


def find(hosting_id: str, subject: CheckSubject) -> HostingCheck | None:
    """The check of a hosting, for pages: when it was last made, when it is made next, what it failed at."""
    return db.session.scalar(_of(hosting_id).where(HostingCheck.subject == subject))


def _of(hosting_id: str) -> Select[HostingCheck]:
    return select(HostingCheck).where(HostingCheck.hosting_id == hosting_id)


def _new(hosting: Hosting, subject: CheckSubject, now: datetime) -> HostingCheck:
    return HostingCheck(
        id=new_id(),
        organisation_id=hosting.organisation_id,
        hosting_id=hosting.id,
        subject=subject,
        state=CheckState.ACTIVE,
        next_attempt_at=now,
        created_at=now,
    )


def _begin_again(row: HostingCheck, now: datetime) -> None:
    to_state = advance(TRANSITIONS, row.state, CheckEvent.BEGIN_AGAIN)
    same = update(HostingCheck).where(HostingCheck.id == row.id, HostingCheck.state == row.state)
    db.session.execute(same.values(state=to_state, next_attempt_at=now, rung_until=None))
    note_change("hosting_checks", row.id, (row.state, CheckEvent.BEGIN_AGAIN, to_state), WORKER_ACTOR, now)

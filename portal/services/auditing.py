"""Who did what: one row an act, in the transaction of the act itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session, scoped_session

from portal.models.history import AuditEntry


def audit(
    session: Session | scoped_session[Any],
    action: str,
    subject: tuple[str, str],
    actor: str,
    now: datetime,
    *,
    organisation_id: str | None = None,
    params: Mapping[str, Any] | None = None,
    ip: str | None = None,
) -> None:
    """Note an act. `action` is "noun.verb"; `subject` is (table, id); `actor` a user id, or "cli".

    `params` hold nothing secret. The caller commits.
    """
    subject_type, subject_id = subject
    session.add(
        AuditEntry(
            organisation_id=organisation_id,
            actor=actor,
            action=action,
            subject_type=subject_type,
            subject_id=subject_id,
            params=dict(params) if params else None,
            ip_address=ip,
            at=now,
        )
    )

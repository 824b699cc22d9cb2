"""Organisations and their members. Owners alone change who is in; the last owner stays one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, scoped_session

from portal.domain.errors import DomainError
from portal.models.account import Membership, Organisation, Role, User
from portal.models.types import new_id
from portal.services.auditing import audit

AnySession = Session | scoped_session[Any]


def members(session: AnySession, organisation_id: str) -> Sequence[Membership]:
    """With their users, in the order of joining."""
    query = (
        select(Membership)
        .where(Membership.organisation_id == organisation_id)
        .options(joinedload(Membership.user))
        .order_by(Membership.created_at, Membership.id)
    )
    return session.scalars(query).all()


def create(session: AnySession, user: User, name: str, now: datetime, ip: str) -> Organisation:
    """A new organisation owned by this user."""
    organisation = Organisation(id=new_id(), name=name.strip(), created_at=now)
    session.add(organisation)
    session.flush()
    session.add(Membership(organisation_id=organisation.id, user_id=user.id, role=Role.OWNER, created_at=now))
    _note(session, "organisation.create", organisation.id, organisation.id, user.id, now, ip)
    session.commit()
    return organisation


def rename(session: AnySession, organisation_id: str, name: str, actor: str, now: datetime, ip: str) -> None:
    """Give the organisation another name."""
    _locked(session, organisation_id).name = name.strip()
    _note(session, "organisation.rename", organisation_id, organisation_id, actor, now, ip)
    session.commit()


def change_role(
    session: AnySession,
    organisation_id: str,
    membership_id: str,
    role: Role,
    actor: str,
    now: datetime,
    ip: str,
) -> None:
    """Raises DomainError: not_found, last_owner."""
    membership = _for_change(session, organisation_id, membership_id)
    if role is not Role.OWNER:
        _keep_an_owner(session, membership)
    membership.role = role
    _note(session, "member.change_role", membership.user_id, organisation_id, actor, now, ip, role=role.value)
    session.commit()


def remove(
    session: AnySession, organisation_id: str, membership_id: str, actor: str, now: datetime, ip: str
) -> None:
    """Take somebody out. Raises DomainError: not_found, last_owner."""
    membership = _for_change(session, organisation_id, membership_id)
    _keep_an_owner(session, membership)
    session.delete(membership)
    _note(session, "member.remove", membership.user_id, organisation_id, actor, now, ip)
    session.commit()


def _locked(session: AnySession, organisation_id: str) -> Organisation:
    """The organisation's row, locked: two owners leaving at once are taken one after the other."""
    query = select(Organisation).where(Organisation.id == organisation_id).with_for_update()
    organisation = session.scalar(query)
    if organisation is None:
        raise DomainError("not_found")
    return organisation


def _for_change(session: AnySession, organisation_id: str, membership_id: str) -> Membership:
    _locked(session, organisation_id)
    query = select(Membership).where(
        Membership.id == membership_id, Membership.organisation_id == organisation_id
    )
    membership = session.scalar(query.execution_options(populate_existing=True))
    if membership is None:
        raise DomainError("not_found")
    return membership


def _keep_an_owner(session: AnySession, membership: Membership) -> None:
    others = select(func.count()).where(
        Membership.organisation_id == membership.organisation_id,
        Membership.role == Role.OWNER,
        Membership.id != membership.id,
    )
    if membership.role is Role.OWNER and not session.scalar(others):
        raise DomainError("last_owner")


def _note(
    session: AnySession,
    action: str,
    subject_id: str,
    organisation_id: str,
    actor: str,
    now: datetime,
    ip: str,
    **params: str,
) -> None:
    table = "organisations" if action.startswith("organisation.") else "users"
    audit(
        session,
        action,
        (table, subject_id),
        actor,
        now,
        organisation_id=organisation_id,
        params=params,
        ip=ip,
    )

"""Inviting people into an organisation by mail, and their coming in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, scoped_session

from portal.domain.errors import DomainError
from portal.domain.notices import NoticeKind
from portal.models.account import Invitation, Membership, Role, User
from portal.models.types import new_id
from portal.services import accounts, tokens
from portal.services.auditing import audit
from portal.services.noticing import post

AnySession = Session | scoped_session[Any]

OPEN_FOR = timedelta(seconds=tokens.INVITATION_AGE)


def open_invitations(session: AnySession, organisation_id: str, now: datetime) -> Sequence[Invitation]:
    """What can still be accepted, newest first."""
    query = select(Invitation).where(
        Invitation.organisation_id == organisation_id,
        Invitation.accepted_at.is_(None),
        Invitation.withdrawn_at.is_(None),
        Invitation.expires_at > now,
    )
    return session.scalars(query.order_by(Invitation.created_at.desc(), Invitation.id)).all()


def invite(
    session: AnySession, organisation_id: str, email: str, role: Role, inviter: User, now: datetime, ip: str
) -> Invitation:
    """Post an invitation; an open one to the same address is replaced. Raises DomainError("already_member")."""
    email = accounts.normal(email)
    if (known := accounts.find_user(session, email)) and _is_member(session, organisation_id, known.id):
        raise DomainError("already_member")
    for earlier in open_invitations(session, organisation_id, now):
        if earlier.email == email:
            earlier.withdrawn_at = now
    invitation = Invitation(
        id=new_id(),
        organisation_id=organisation_id,
        email=email,
        role=role,
        locale=known.locale if known else inviter.locale,
        invited_by_id=inviter.id,
        created_at=now,
        expires_at=now + OPEN_FOR,
    )
    session.add(invitation)
    session.flush()
    _post(session, invitation, inviter, now)
    _note(session, "invitation.create", invitation, inviter.id, now, ip)
    session.commit()
    return invitation


def withdraw(
    session: AnySession, organisation_id: str, invitation_id: str, actor: str, now: datetime, ip: str
) -> None:
    """Close an open invitation. Raises DomainError("not_found")."""
    found = (one for one in open_invitations(session, organisation_id, now) if one.id == invitation_id)
    invitation = next(found, None)
    if invitation is None:
        raise DomainError("not_found")
    invitation.withdrawn_at = now
    _note(session, "invitation.withdraw", invitation, actor, now, ip)
    session.commit()


def read(session: AnySession, token: str, now: datetime) -> Invitation:
    """The invitation of a link. Raises DomainError: token_invalid, invitation_closed."""
    (invitation_id,) = tokens.read(tokens.INVITATION, token, tokens.INVITATION_AGE)
    query = (
        select(Invitation)
        .where(Invitation.id == invitation_id)
        .options(joinedload(Invitation.organisation))
        .with_for_update(of=Invitation)
    )
    invitation = session.scalar(query)
    if invitation is None:
        raise DomainError("token_invalid")
    if invitation.accepted_at or invitation.withdrawn_at or invitation.expires_at <= now:
        raise DomainError("invitation_closed")
    return invitation


def accept(session: AnySession, token: str, user: User, now: datetime, ip: str) -> Invitation:
    """The invited user comes in. Raises DomainError: those of read, invitation_for_another."""
    invitation = read(session, token, now)
    if invitation.email != user.email:
        raise DomainError("invitation_for_another")
    _come_in(session, invitation, user, now, ip)
    session.commit()
    return invitation


def accept_as_new(
    session: AnySession, token: str, password: str, *, locale: str, timezone: str, now: datetime, ip: str
) -> User:
    """Somebody without an account comes in; the mail reached them, so their address is confirmed.

    Raises DomainError: those of read and of passwords.check_new; email_taken where the account exists by now.
    """
    invitation = read(session, token, now)
    if accounts.find_user(session, invitation.email) is not None:
        raise DomainError("email_taken")
    user = accounts.new_user(invitation.email, password, locale, timezone, now)
    user.email_confirmed_at = now
    session.add(user)
    session.flush()
    _come_in(session, invitation, user, now, ip)
    session.commit()
    return user


def _come_in(session: AnySession, invitation: Invitation, user: User, now: datetime, ip: str) -> None:
    if not _is_member(session, invitation.organisation_id, user.id):
        session.add(
            Membership(
                organisation_id=invitation.organisation_id,
                user_id=user.id,
                role=invitation.role,
                created_at=now,
            )
        )
    invitation.accepted_at = now
    _note(session, "invitation.accept", invitation, user.id, now, ip)


def _is_member(session: AnySession, organisation_id: str, user_id: str) -> bool:
    query = select(Membership.id).where(
        Membership.organisation_id == organisation_id, Membership.user_id == user_id
    )
    return session.scalar(query) is not None


def _post(session: AnySession, invitation: Invitation, inviter: User, now: datetime) -> None:
    post(
        session,
        NoticeKind.INVITATION,
        subject_type="invitations",
        subject_id=invitation.id,
        recipient=invitation.email,
        locale=invitation.locale,
        timezone=inviter.timezone,
        params={"organisation": _organisation_name(session, invitation), "inviter": inviter.email},
        now=now,
        organisation_id=invitation.organisation_id,
    )


def _organisation_name(session: AnySession, invitation: Invitation) -> str:
    session.refresh(invitation, ["organisation"])
    return invitation.organisation.name


def _note(
    session: AnySession, action: str, invitation: Invitation, actor: str, now: datetime, ip: str
) -> None:
    audit(
        session,
        action,
        ("invitations", invitation.id),
        actor,
        now,
        organisation_id=invitation.organisation_id,
        params={"role": invitation.role.value},
        ip=ip,
    )

"""Links in mails: signed ids, made when the mail is sent and kept nowhere.

A reset token also names a fingerprint of the present password hash, so that using it once ends it.
Links: /confirm/<token>, /reset/<token>, /invitations/<token>.
"""

from __future__ import annotations

import hashlib

from flask import current_app
from itsdangerous import BadSignature, URLSafeTimedSerializer

from portal.domain.errors import DomainError
from portal.models.account import Invitation, User

CONFIRM_EMAIL = "confirm_email"
RESET_PASSWORD = "reset_password"  # noqa: S105
INVITATION = "invitation"

#: Seconds for which a link works.
CONFIRM_AGE = 7 * 86_400
RESET_AGE = 3_600
INVITATION_AGE = 7 * 86_400


def _signer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt=f"portal.{purpose}")


def make(purpose: str, *ids: str) -> str:
    """A token that `read` gives the ids of back, for this purpose alone."""
    return str(_signer(purpose).dumps(list(ids)))


def read(purpose: str, token: str, max_age: int) -> list[str]:
    """The ids in a token at most `max_age` seconds old. Raises DomainError("token_invalid")."""
    try:
        ids = _signer(purpose).loads(token, max_age=max_age)
    except BadSignature:
        raise DomainError("token_invalid") from None
    return [str(part) for part in ids]


def password_fingerprint(user: User) -> str:
    """Changes with the password; tells nothing about it."""
    return hashlib.sha256(f"{user.id}:{user.password_hash}".encode()).hexdigest()[:24]


def confirmation_token(user: User) -> str:
    """For the mail that asks to confirm an address."""
    return make(CONFIRM_EMAIL, user.id, user.email)


def reset_token(user: User) -> str:
    """For the mail that lets somebody choose a new password."""
    return make(RESET_PASSWORD, user.id, password_fingerprint(user))


def invitation_token(invitation: Invitation) -> str:
    """For the mail that invites somebody into an organisation."""
    return make(INVITATION, invitation.id)

"""Passwords: argon2id hashes, what a new one must be like, and a check that takes as long for nobody."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.domain.errors import DomainError

LEAST = 10
MOST = 128

#: Of the lists of most used passwords, what is long enough to be chosen here.
_MOST_USED = frozenset(
    """
    0000000000 0123456789 0987654321 1111111111 1234512345 1234567890 12345678910 123456789a 1314520520
    1q2w3e4r5t 1qaz2wsx3edc 5201314520 a123456789 abc1234567 abcd123456 abcdefghij admin12345
    admin123456 administrator asdfghjkl1 changeme123 iloveyou123 letmein123 passw0rd123 password12
    password123 password1234 perennial123 qwerty12345 qwerty123456 qwertyuiop welcome123 woaini1314
    woaini1314520 zxcvbnm123
    """.split()  # noqa: SIM905
)

_hasher = PasswordHasher()


def check_new(password: str, email: str) -> None:
    """Raises DomainError: password_too_short, password_too_long, password_breached."""
    if len(password) < LEAST:
        raise DomainError("password_too_short", least=LEAST)
    if len(password) > MOST:
        raise DomainError("password_too_long", most=MOST)
    if password.lower() in _MOST_USED | {email, email.partition("@")[0]} or len(set(password)) < 4:
        raise DomainError("password_breached")


def hash_password(password: str) -> str:
    """An argon2id hash with its parameters and salt."""
    return _hasher.hash(password)


@cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_hex(16))


def is_right(password_hash: str | None, password: str) -> bool:
    """Whether the password fits. For an unknown user (None) the same work is done, and the answer is no."""
    try:
        fits = _hasher.verify(password_hash or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return fits and password_hash is not None

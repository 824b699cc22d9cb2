"""Answers for rehearsals of http-01: a token that only this installation can have made, and what it is to be answered.

Nothing is stored: the token carries its own proof, so any process of the installation answers it, and only it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from portal.services.operations import settings

_PREFIX = "rehearsal-"


def make_probe() -> tuple[str, str]:
    """A fresh token and the answer that the portal gives to it."""
    nonce = secrets.token_hex(16)
    token = f"{_PREFIX}{nonce}-{_digest('token', nonce)}"
    return token, _answer(token)


def find_answer(token: str) -> str | None:
    """The answer to a token of ours; None for any other, however alike."""
    nonce, _, proof = token.removeprefix(_PREFIX).partition("-")
    is_ours = token.startswith(_PREFIX) and hmac.compare_digest(
        proof.encode(), _digest("token", nonce).encode()
    )
    return _answer(token) if is_ours else None


def _answer(token: str) -> str:
    return f"{token}.{_digest('answer', token)}"


def _digest(purpose: str, text: str) -> str:
    key = settings().secret_key.encode()
    return hmac.new(key, f"http-probe\0{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()

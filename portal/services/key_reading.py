"""Reading a private key that somebody uploaded: in a process with little time and memory, never in this one."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

from portal.domain.certificate import PrivateKey, key_type_of
from portal.domain.errors import DomainError
from portal.domain.keys import key_from_der
from portal.services import key_process

#: Longer than the process's own CPU limit: only a process that is starved reaches it.
WALL_SECONDS = 20

_REASONS = frozenset(
    {"key_passphrase_needed", "key_passphrase_wrong", "broken_key", "unsupported_key_type", "key_too_costly"}
)
_PEM_BEGIN = "-----BEGIN "
_PEM_END = "-----END "


def read_private_key(text: str, passphrase: str | None) -> PrivateKey:
    """The key in a PEM text (PKCS#8, PKCS#1 or SEC 1; encrypted ones with their passphrase).

    Key and passphrase go through a pipe, never through arguments or the environment. Raises DomainError: no_key,
    several_keys, key_passphrase_needed, key_passphrase_wrong, broken_key, unsupported_key_type, key_too_costly.
    """
    pem = key_block(text)
    secret = passphrase.encode() if passphrase else None
    answer = _ask_process(pem.encode("ascii", "replace"), secret)
    if not answer.startswith(b"ok "):
        code = answer.decode("ascii", "replace")
        raise DomainError(code if code in _REASONS else "key_too_costly")
    key = key_from_der(answer[3:])
    key_type_of(key.public_key())
    return key


def key_block(text: str) -> str:
    """The one private key block in a text; what EC tools put before it (EC PARAMETERS) is left out.

    Raises DomainError: no_key, several_keys, broken_key.
    """
    blocks = [block for block in text.split(_PEM_BEGIN)[1:] if _label(block).endswith("PRIVATE KEY")]
    if not blocks:
        raise DomainError("no_key")
    if len(blocks) > 1:
        raise DomainError("several_keys")
    label = _label(blocks[0])
    body, end, _ = blocks[0].partition(f"{_PEM_END}{label}-----")
    if not end:
        raise DomainError("broken_key")
    return f"{_PEM_BEGIN}{body}{end}\n"


def has_key(text: str) -> bool:
    """Whether a text holds a private key block."""
    return any(_label(block).endswith("PRIVATE KEY") for block in text.split(_PEM_BEGIN)[1:])


def _label(block: str) -> str:
    return block.partition("-----")[0]


def _ask_process(pem: bytes, passphrase: bytes | None) -> bytes:
    length = key_process.NO_PASSPHRASE if passphrase is None else len(passphrase)
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(Path(key_process.__file__))],
            input=struct.pack(">I", length) + (passphrase or b"") + pem,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return b"key_too_costly"
    return done.stdout if done.returncode == 0 else b"key_too_costly"

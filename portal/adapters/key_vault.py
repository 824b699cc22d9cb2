"""Envelope encryption of private keys and credentials.

Each value has a data key of its own (AES-256-GCM); the data key is wrapped by a versioned master key. Both seals are
bound to account + table + row + column, so an envelope that is copied to another row or column does not open.

Envelope, bytes: format 1 (1) · master key version (4, big endian) · nonce (12) · wrapped data key (48) · nonce (12) ·
ciphertext with tag.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = 1
_HEAD = struct.Struct(">BI")
_NONCE = 12
_WRAPPED = 48


class VaultError(Exception):
    """An envelope does not open: wrong master key, another row's envelope, or damage. Says nothing of the content."""


@dataclass(frozen=True)
class Place:
    """Where an envelope is stored. `account` is the organisation's id, or "" for the installation's own secrets."""

    account: str
    table: str
    row: str
    column: str

    def associated_data(self) -> bytes:
        """Length-prefixed, so that no two places read the same."""
        parts = (self.account, self.table, self.row, self.column)
        return b"".join(struct.pack(">I", len(part.encode())) + part.encode() for part in parts)


class KeyVault:
    """Seals with the newest master key, opens with the one that an envelope names.

    `reread` gives the master keys as they are now: it is asked when an envelope names a version that is not known,
    so that a running process follows a rotation.
    """

    def __init__(
        self, master_keys: Mapping[int, bytes], reread: Callable[[], Mapping[int, bytes]] | None = None
    ) -> None:
        self._master_keys = dict(master_keys)
        self._reread = reread
        self.newest = max(self._master_keys)

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        """Encrypt `plaintext` under a fresh data key."""
        data_key = AESGCM.generate_key(256)
        nonce = os.urandom(_NONCE)
        ciphertext = AESGCM(data_key).encrypt(nonce, plaintext, place.associated_data())
        return self._wrap(data_key, place) + nonce + ciphertext

    def open(self, envelope: bytes, place: Place) -> bytes:
        """Decrypt. Raises VaultError."""
        data_key, rest = self._unwrap(envelope, place)
        try:
            return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], place.associated_data())
        except InvalidTag:
            raise VaultError(f"the envelope at {place.table}.{place.column} does not open") from None

    def rewrap(self, envelope: bytes, place: Place) -> bytes:
        """Wrap the data key anew under the newest master key; the ciphertext stays. Raises VaultError."""
        if master_key_version(envelope) == self.newest:
            return envelope
        data_key, rest = self._unwrap(envelope, place)
        return self._wrap(data_key, place) + rest

    def _wrap(self, data_key: bytes, place: Place) -> bytes:
        head = _HEAD.pack(_FORMAT, self.newest)
        nonce = os.urandom(_NONCE)
        wrapped = AESGCM(self._master_keys[self.newest]).encrypt(
            nonce, data_key, head + place.associated_data()
        )
        return head + nonce + wrapped

    def _unwrap(self, envelope: bytes, place: Place) -> tuple[bytes, bytes]:
        version = master_key_version(envelope)
        self._follow_rotation(version)
        if version not in self._master_keys:
            raise VaultError(f"master key {version} is not among the configured ones")
        head, rest = envelope[: _HEAD.size], envelope[_HEAD.size :]
        nonce, wrapped = rest[:_NONCE], rest[_NONCE : _NONCE + _WRAPPED]
        try:
            data_key = AESGCM(self._master_keys[version]).decrypt(
                nonce, wrapped, head + place.associated_data()
            )
        except InvalidTag:
            raise VaultError(f"master key {version} does not open {place.table}.{place.column}") from None
        return data_key, rest[_NONCE + _WRAPPED :]

    def _follow_rotation(self, version: int) -> None:
        if version not in self._master_keys and self._reread is not None:
            self._master_keys = dict(self._reread())
            self.newest = max(self._master_keys)


def master_key_version(envelope: bytes) -> int:
    """Which master key an envelope is under. Raises VaultError for what is no envelope."""
    if len(envelope) < _HEAD.size + _NONCE + _WRAPPED + _NONCE or envelope[0] != _FORMAT:
        raise VaultError("not an envelope")
    version: int = _HEAD.unpack_from(envelope)[1]
    return version

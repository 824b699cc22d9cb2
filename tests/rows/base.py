"""What all makers of rows share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.key_vault import KeyVault, Place
from portal.domain.certificate import PrivateKey

Row = TypeVar("Row")


class Maker:
    """Adds rows through a session and commits at once. `now` is the moment they were made."""

    def __init__(self, session: scoped_session[Session] | Session, vault: KeyVault, now: datetime) -> None:
        self.session = session
        self.vault = vault
        self.now = now
        self._numbers = itertools.count(1)

    def add(self, row: Row) -> Row:
        self.session.add(row)
        self.session.commit()
        self.session.expire_all()
        return row

    def number(self) -> int:
        return next(self._numbers)

    def seal_key(self, key: PrivateKey, place: Place) -> bytes:
        """The key as it is stored: an envelope of its PKCS#8 DER."""
        return self.vault.seal(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), place)

    def seal_json(self, value: Mapping[str, str], place: Place) -> bytes:
        return self.vault.seal(json.dumps(dict(value)).encode(), place)

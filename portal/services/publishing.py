"""What private CAs publish for everybody: the revocation list, the issuing certificate and the root."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select

from portal.adapters.ca.private_ca import PrivateCa
from portal.adapters.ca.private_crl import slot_of
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.authority import CaRevocation
from portal.models.catalogue import CaAccount
from portal.services import ca_accounts

_OWN_LIST = re.compile(r"/ca/([0-9a-f]{32})/crl\Z")

#: This process's latest list of each account, with what it was made from.
_lists: dict[str, tuple[tuple[Any, ...], bytes]] = {}


def crl(account_id: str, now: datetime) -> bytes:
    """The revocation list (DER). It is signed anew where something was revoked, and once an hour.

    Raises DomainError("not_found") for what is no private CA.
    """
    ca = _private_ca(account_id)
    counted = select(func.count(), func.max(CaRevocation.revoked_at))
    count, latest = db.session.execute(counted.where(CaRevocation.ca_account_id == account_id)).one()
    made_from = (slot_of(now), count, latest, ca.issuer_pem)
    known = _lists.get(account_id)
    if known is None or known[0] != made_from:
        known = _lists[account_id] = (made_from, ca.crl(now))
    return known[1]


def find_crl(url: str, now: datetime) -> bytes | None:
    """The list behind an address that is one of ours, so that we need not fetch it from ourselves; else None.

    The account's id in the path decides: the host may have been another when the certificate was issued.
    """
    found = _OWN_LIST.search(url)
    try:
        return crl(found[1], now) if found else None
    except DomainError:
        return None


def issuer_certificate(account_id: str) -> bytes:
    """The certificate (DER) that leaves are issued under. Raises DomainError("not_found")."""
    return _der(_private_ca(account_id).issuer_pem)


def root_certificate(account_id: str) -> bytes:
    """The certificate (DER) that has to be trusted. Raises DomainError("not_found")."""
    return _der(_private_ca(account_id).root_pem)


def _private_ca(account_id: str) -> PrivateCa:
    account = db.session.get(CaAccount, account_id)
    ca = ca_accounts.connect(account) if account is not None and account.kind == "private" else None
    if not isinstance(ca, PrivateCa):
        raise DomainError("not_found")
    return ca


def _der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)

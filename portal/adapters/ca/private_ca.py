"""A certificate authority of one's own, for internal names and for the sandbox. It keeps hardly any state.

An order's URL holds the order and its terms under a MAC; what is issued follows from the URL and the public key alone.
So every host that has the account's secrets gives the same answers, and the same certificate, byte for byte, however
often it is asked and whatever was set meanwhile. It validates nothing: whoever holds the account may have any name.

Where it is given a ledger, that keeps which key an order was finalized for (no other one is certified under it), and
what was revoked, for the revocation list.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from portal.adapters.ca import private_order
from portal.adapters.ca.base import CaOrder, CaOrderState, CaSettings, Challenge, RenewalInfo
from portal.adapters.ca.csr import read_csr, refused
from portal.adapters.ca.private_certificates import (
    POLICIES,
    Authority,
    Leaf,
    make_authority,
    make_leaf,
    serial_for,
)
from portal.adapters.ca.private_crl import REASONS, make_crl
from portal.adapters.ca.private_order import PrivateOrder, Terms
from portal.adapters.errors import AdapterError
from portal.domain.certificate import ODD_CERTIFICATE, is_issued_by

_DEFAULT_SUBJECT = "Perennial Private CA"
_MOST_NAMES = 100


class PrivateCa:
    """`config`: subject, validity_days (199), validation_seconds (0), policy (dv, ov or ev).

    `secrets`: root_certificate, issuing_certificate, issuing_key, order_key, and root_key, which only signs a next
    issuing certificate.
    """

    def __init__(self, settings: CaSettings) -> None:
        config = settings.config
        validity = timedelta(days=_number(config, "validity_days", 199))
        self._terms = Terms(validity, _policy(config), settings.public_url)
        self._validation = timedelta(seconds=_number(config, "validation_seconds", 0))
        self._order_key = bytes.fromhex(_secret(settings, "order_key"))
        self._issuer = _load(settings)
        self._ledger = settings.ledger
        self.root_pem = _secret(settings, "root_certificate")
        self.issuer_pem = _secret(settings, "issuing_certificate")

    @classmethod
    def make_secrets(cls, config: Mapping[str, Any]) -> dict[str, str]:
        """A new root (10 years), a new issuing certificate under it (5 years), their keys, and a key for orders."""
        name = str(config.get("subject") or _DEFAULT_SUBJECT)
        now = datetime.now(UTC)
        root = make_authority(name, now)
        issuing = make_authority(name, now, root)
        return {
            "root_certificate": _pem(root.certificate),
            "root_key": _key_pem(root.key),
            "issuing_certificate": _pem(issuing.certificate),
            "issuing_key": _key_pem(issuing.key),
            "order_key": secrets.token_hex(32),
        }

    def register(self) -> str:
        """An account is its secrets; its address names the issuing key."""
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._issuer.key.public_key())
        return f"urn:perennial:ca:{identifier.digest.hex()}"

    def new_order(self, names: Sequence[str], replaces: str | None = None) -> CaOrder:  # noqa: ARG002
        """Order. Raises AdapterError(ca_refused) for no names or too many."""
        wanted = tuple(dict.fromkeys(names))
        if not 0 < len(wanted) <= _MOST_NAMES:
            raise refused(f"an order has 1 to {_MOST_NAMES} names")
        return self._as_seen(private_order.place(wanted, self._terms, self._order_key, datetime.now(UTC)))

    def get_order(self, url: str) -> CaOrder:
        """Pending as long as a validation is set to take, then ready; finalizing leaves no trace in it."""
        return self._as_seen(self._read(url))

    def answer(self, challenge: Challenge) -> None:
        """This CA asks for no proofs."""

    def finalize(self, url: str, csr_pem: str) -> CaOrder:
        """Check the CSR, and say that the certificate is there. A pending order is returned as it is."""
        order = self._read(url)
        seen = self._as_seen(order)
        if seen.state is CaOrderState.INVALID:
            raise AdapterError("ca_order_gone", permanent=False)
        if seen.state is CaOrderState.PENDING:
            return seen
        self._issue(order, csr_pem)
        return CaOrder(url, CaOrderState.VALID)

    def download(self, url: str, csr_pem: str) -> str:
        """Leaf and issuing certificate."""
        order = self._read(url)
        state = self._as_seen(order).state
        if state is CaOrderState.INVALID:
            raise AdapterError("ca_order_gone", permanent=False)
        if state is CaOrderState.PENDING:
            raise AdapterError("ca_unavailable", permanent=False, detail="the order is pending")
        return _pem(self._issue(order, csr_pem)) + _pem(self._issuer.certificate)

    def forget_proofs(self, url: str) -> None:
        """This CA asks for no proofs."""

    def revoke(self, leaf_pem: str, reason: int = 0) -> None:
        """Put it on the revocation list. Raises AdapterError: ca_refused (not issued here, no such reason),
        ca_revoke_unsupported (there is no ledger to keep it).
        """
        if self._ledger is None:
            raise AdapterError("ca_revoke_unsupported", permanent=True)
        if reason != 0 and reason not in REASONS:
            raise refused(f"there is no revocation reason {reason}")
        leaf = _read_leaf(leaf_pem)
        if not is_issued_by(leaf, self._issuer.certificate):
            raise refused("the certificate is not one of this CA")
        self._ledger.revoke(leaf.serial_number, reason, leaf.not_valid_after_utc, datetime.now(UTC))

    def renewal_info(self, certificate_id: str) -> RenewalInfo | None:  # noqa: ARG002
        """It has no wishes of its own."""
        return None

    def server_time(self) -> datetime | None:
        """Its clock is ours."""
        return None

    def caa_identities(self) -> tuple[str, ...]:
        """It looks at no CAA records."""
        return ()

    def crl(self, now: datetime) -> bytes:
        """The full revocation list (DER, RFC 5280), for seven days from `now`'s hour."""
        return make_crl(self._ledger.revoked(now) if self._ledger else (), self._issuer, now)

    def _read(self, url: str) -> PrivateOrder:
        return private_order.read(url, self._order_key, self._terms)

    def _as_seen(self, order: PrivateOrder) -> CaOrder:
        now = datetime.now(UTC)
        ready_at = order.created_at + self._validation
        if order.has_expired(now):
            return CaOrder(order.url, CaOrderState.INVALID, error="the order has expired")
        if now < ready_at:
            return CaOrder(order.url, CaOrderState.PENDING, retry_at=ready_at)
        return CaOrder(order.url, CaOrderState.READY)

    def _issue(self, order: PrivateOrder, csr_pem: str) -> x509.Certificate:
        public_key = read_csr(csr_pem, order.names).public_key()
        end = order.created_at + order.terms.validity - timedelta(seconds=1)
        not_after = min(end, self._issuer.certificate.not_valid_after_utc)
        if not_after <= order.created_at:
            raise refused("the issuing certificate has expired")
        encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        stood_for = (_digest(order.url.encode()), _digest(encoded))
        if self._ledger and not self._ledger.bind(*stood_for, datetime.now(UTC)):
            raise refused("the order was finalized for another key")
        serial = serial_for(order.url, public_key, self._order_key)
        terms = order.terms
        leaf = Leaf(
            order.names, public_key, serial, order.created_at, not_after, terms.policy, terms.public_url
        )
        return make_leaf(leaf, self._issuer)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read_leaf(leaf_pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(leaf_pem.encode())
    except ODD_CERTIFICATE:
        raise refused("the certificate does not parse") from None


def _load(settings: CaSettings) -> Authority:
    key = load_pem_private_key(_secret(settings, "issuing_key").encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise refused("the issuing key is of a wrong type")
    return Authority(x509.load_pem_x509_certificate(_secret(settings, "issuing_certificate").encode()), key)


def _secret(settings: CaSettings, name: str) -> str:
    try:
        return settings.secrets[name]
    except KeyError:
        raise refused(f"the account has no {name}") from None


def _number(config: Mapping[str, Any], name: str, default: float) -> float:
    """A setting that is a number, zero or more. Raises AdapterError(ca_refused)."""
    try:
        value = float(config.get(name) or default)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise refused(f"{name} is not a number")
    return value


def _policy(config: Mapping[str, Any]) -> str:
    try:
        return POLICIES[str(config.get("policy") or "dv")]
    except KeyError:
        raise refused(f"policy is one of {', '.join(POLICIES)}") from None


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

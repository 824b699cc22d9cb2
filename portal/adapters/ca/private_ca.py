"""A certificate authority of one's own, for internal names and for the sandbox. It keeps no state anywhere.

An order's URL holds the order under a MAC; what is issued follows from the URL and the public key alone. So every
host that has the account's secrets gives the same answers, and the same certificate, byte for byte, however often it
is asked. It validates nothing: whoever holds the account may have any name.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from portal.adapters.ca import private_order
from portal.adapters.ca.base import CaOrder, CaOrderState, CaSettings, Challenge
from portal.adapters.ca.private_certificates import (
    POLICIES,
    Authority,
    Leaf,
    make_authority,
    make_leaf,
    serial_for,
)
from portal.adapters.ca.private_order import PrivateOrder
from portal.adapters.errors import AdapterError
from portal.domain.certificate import ODD_CERTIFICATE, key_type_of
from portal.domain.errors import DomainError

_DEFAULT_SUBJECT = "Perennial Private CA"
_MOST_NAMES = 100


class PrivateCa:
    """`config`: subject, validity_days (199), validation_seconds (0), policy (dv, ov or ev).

    `secrets`: root_certificate, issuing_certificate, issuing_key, order_key, and root_key, which only signs a next
    issuing certificate. Its certificates cannot be revoked yet: they name no CRL.
    """

    def __init__(self, settings: CaSettings) -> None:
        config = settings.config
        self._validity = timedelta(days=_number(config, "validity_days", 199))
        self._validation = timedelta(seconds=_number(config, "validation_seconds", 0))
        self._policy = _policy(config)
        self._order_key = bytes.fromhex(_secret(settings, "order_key"))
        self._issuer = _load(settings)
        self.root_pem = _secret(settings, "root_certificate")

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
            raise _refused(f"an order has 1 to {_MOST_NAMES} names")
        return self._as_seen(private_order.place(wanted, self._order_key, datetime.now(UTC)))

    def get_order(self, url: str) -> CaOrder:
        """Pending as long as a validation is set to take, then ready; finalizing leaves no trace in it."""
        return self._as_seen(private_order.read(url, self._order_key))

    def answer(self, challenge: Challenge) -> None:
        """This CA asks for no proofs."""

    def finalize(self, url: str, csr_pem: str) -> CaOrder:
        """Check the CSR, and say that the certificate is there. A pending order is returned as it is."""
        order = private_order.read(url, self._order_key)
        seen = self._as_seen(order)
        if seen.state is CaOrderState.INVALID:
            raise AdapterError("ca_order_gone", permanent=False)
        if seen.state is CaOrderState.PENDING:
            return seen
        self._issue(order, csr_pem)
        return CaOrder(url, CaOrderState.VALID)

    def download(self, url: str, csr_pem: str) -> str:
        """Leaf and issuing certificate."""
        order = private_order.read(url, self._order_key)
        state = self._as_seen(order).state
        if state is CaOrderState.INVALID:
            raise AdapterError("ca_order_gone", permanent=False)
        if state is CaOrderState.PENDING:
            raise AdapterError("ca_unavailable", permanent=False, detail="the order is pending")
        return _pem(self._issue(order, csr_pem)) + _pem(self._issuer.certificate)

    def revoke(self, leaf_pem: str, reason: int = 0) -> None:  # noqa: ARG002
        """Refused: there is no CRL yet that could say so. Raises AdapterError(ca_revoke_unsupported, permanent)."""
        raise AdapterError("ca_revoke_unsupported", permanent=True)

    def _as_seen(self, order: PrivateOrder) -> CaOrder:
        now = datetime.now(UTC)
        ready_at = order.created_at + self._validation
        if order.has_expired(now):
            return CaOrder(order.url, CaOrderState.INVALID, error="the order has expired")
        if now < ready_at:
            return CaOrder(order.url, CaOrderState.PENDING, retry_at=ready_at)
        return CaOrder(order.url, CaOrderState.READY)

    def _issue(self, order: PrivateOrder, csr_pem: str) -> x509.Certificate:
        csr = _checked(csr_pem, order.names)
        public_key = csr.public_key()
        end = order.created_at + self._validity - timedelta(seconds=1)
        not_after = min(end, self._issuer.certificate.not_valid_after_utc)
        if not_after <= order.created_at:
            raise _refused("the issuing certificate has expired")
        serial = serial_for(order.url, public_key, self._order_key)
        leaf = Leaf(order.names, public_key, serial, order.created_at, not_after, self._policy)
        return make_leaf(leaf, self._issuer)


def _checked(csr_pem: str, names: tuple[str, ...]) -> x509.CertificateSigningRequest:
    """The CSR, if it is signed by its key, of a type that we know, and for the names of the order, all and no more."""
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        key_type_of(csr.public_key())
        asked = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        is_signed = csr.is_signature_valid
    except DomainError as error:
        raise _refused(str(error)) from None
    except x509.ExtensionNotFound:
        raise _refused("the CSR names nothing") from None
    except (InvalidSignature, UnsupportedAlgorithm, *ODD_CERTIFICATE):
        raise _refused("the CSR does not parse") from None
    if not is_signed:
        raise _refused("the CSR is not signed by its key")
    if len(asked.get_values_for_type(x509.DNSName)) != len(list(asked)):
        raise _refused("the CSR asks for more than DNS names")
    if {name.lower() for name in asked.get_values_for_type(x509.DNSName)} != set(names):
        raise _refused("the names of the CSR are not those of the order")
    return csr


def _load(settings: CaSettings) -> Authority:
    key = load_pem_private_key(_secret(settings, "issuing_key").encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _refused("the issuing key is of a wrong type")
    return Authority(x509.load_pem_x509_certificate(_secret(settings, "issuing_certificate").encode()), key)


def _secret(settings: CaSettings, name: str) -> str:
    try:
        return settings.secrets[name]
    except KeyError:
        raise _refused(f"the account has no {name}") from None


def _number(config: Mapping[str, Any], name: str, default: float) -> float:
    """A setting that is a number, zero or more. Raises AdapterError(ca_refused)."""
    try:
        value = float(config.get(name) or default)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise _refused(f"{name} is not a number")
    return value


def _policy(config: Mapping[str, Any]) -> str:
    try:
        return POLICIES[str(config.get("policy") or "dv")]
    except KeyError:
        raise _refused(f"policy is one of {', '.join(POLICIES)}") from None


def _refused(detail: str) -> AdapterError:
    return AdapterError("ca_refused", permanent=True, detail=detail)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

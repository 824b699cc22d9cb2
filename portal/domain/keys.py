"""Making keys and certificate signing requests (RFC 2986)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from portal.domain.certificate import PrivateKey
from portal.domain.errors import DomainError

_CURVES: dict[str, ec.EllipticCurve] = {
    "ec-p256": ec.SECP256R1(),
    "ec-p384": ec.SECP384R1(),
    "ec-p521": ec.SECP521R1(),
}

#: The longest common name (RFC 5280, ub-common-name).
LONGEST_COMMON_NAME = 64


def make_key(key_type: str) -> PrivateKey:
    """A new key of a type in KEY_TYPES. Raises DomainError("unsupported_key_type")."""
    if key_type in _CURVES:
        return ec.generate_private_key(_CURVES[key_type])
    if key_type.startswith("rsa-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type.removeprefix("rsa-")))
    raise DomainError("unsupported_key_type", key_type=key_type)


def key_to_der(key: PrivateKey) -> bytes:
    """PKCS#8 DER without encryption: only ever handed to the vault."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def key_from_der(der: bytes) -> PrivateKey:
    """Read back what `key_to_der` wrote. The primes are not proved again (49 ms for RSA-2048): the key was checked
    when it came in, or made here, and authenticated encryption kept it since.
    """
    key = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return key


def key_to_pem(key: PrivateKey) -> str:
    """PEM as servers and clouds read it: PKCS#1 for RSA, SEC 1 for EC."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def make_csr(names: Sequence[str], key: PrivateKey) -> str:
    """A CSR (PEM) for `names`, all in the SAN, the first as common name where it fits; no other extension asked for."""
    subject = (
        [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= LONGEST_COMMON_NAME else []
    )
    san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder(x509.Name(subject)).add_extension(san, critical=False)
    return builder.sign(key, _signature_hash(key)).public_bytes(Encoding.PEM).decode()


def _signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else ""
    if curve == "secp384r1":
        return hashes.SHA384()
    return hashes.SHA512() if curve == "secp521r1" else hashes.SHA256()

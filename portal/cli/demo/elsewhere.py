"""The certificate that was bought elsewhere: one given on the command line, or one made by a throw-away CA."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from portal.adapters.ca.private_certificates import POLICIES, Leaf, make_authority, make_leaf
from portal.domain.certificate import CertificateFacts, read_facts, same_public_key, to_pem
from portal.domain.deployment import covers
from portal.domain.errors import DomainError
from portal.domain.keys import key_to_pem
from portal.services.key_reading import has_key, read_private_key
from portal.services.pem_reading import read_chain, text_of
from portal.services.targets import NewTarget, normal_domain
from portal.settings import MAX_UPLOAD_BYTES

#: The made certificate has lived for all of its 199 days but ten.
EXPIRES_IN = timedelta(days=10)
LIFETIME = timedelta(days=199)


@dataclass(frozen=True)
class Bought:
    """A certificate with its chain and key in PEM. `is_given` where somebody named it on the command line."""

    chain_pem: str
    key_pem: str = field(repr=False)
    facts: CertificateFacts
    is_given: bool = False

    def target(self, live_address: str) -> NewTarget:
        """Its first name as a domain at the edge. Raises DomainError("domain_invalid")."""
        domain = normal_domain(self.facts.names[0])
        live_host = f"www{domain[1:]}" if domain.startswith("*.") else None
        return NewTarget("cdn", domain, live_address=live_address, live_host=live_host)

    @property
    def host(self) -> str:
        """A host name that it is served for."""
        name = self.facts.names[0]
        host = f"www{name[1:]}" if name.startswith("*.") else name
        assert covers(self.facts.names, host)
        return host


def make(names: tuple[str, ...], now: datetime) -> Bought:
    """A certificate of a CA that is thrown away at once, which expires in ten days."""
    bought_at = now + EXPIRES_IN - LIFETIME
    root = make_authority("Perennial Demo Elsewhere", bought_at - timedelta(days=30))
    issuing = make_authority("Perennial Demo Elsewhere", bought_at - timedelta(days=20), root)
    key = ec.generate_private_key(ec.SECP256R1())
    serial, until = x509.random_serial_number(), bought_at + LIFETIME
    leaf = make_leaf(Leaf(names, key.public_key(), serial, bought_at, until, POLICIES["dv"]), issuing)
    chain = [leaf, issuing.certificate]
    return Bought(to_pem(chain), key_to_pem(key), read_facts(leaf))


def read(certificate: Path, key: Path, now: datetime) -> Bought:
    """The given one. Raises DomainError for each way in which it can be wrong, as an upload does; OSError."""
    given = read_chain(_text(certificate), now)
    text = _text(key)
    if not has_key(text):
        raise DomainError("no_key")
    private_key = read_private_key(text, None)
    if not same_public_key(private_key.public_key(), given.chain[0].public_key()):
        raise DomainError("key_mismatch")
    normal_domain(given.facts.names[0])
    return Bought(to_pem(given.chain), key_to_pem(private_key), given.facts, is_given=True)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_UPLOAD_BYTES + 1)
    if len(data) > MAX_UPLOAD_BYTES:
        raise DomainError("upload_too_large", kib=MAX_UPLOAD_BYTES // 1024)
    return text_of(data)

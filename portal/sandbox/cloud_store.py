"""What the sandbox cloud remembers, in a folder that only its user can read: certificates, domains, bindings."""

from __future__ import annotations

import json
import os
import threading
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from portal.domain.certificate import same_public_key, sha256_of, split_pem
from portal.domain.errors import DomainError
from portal.sandbox.serving import private_folder


class StoreError(Exception):
    """What was asked cannot be done; `code` is the word in the answer."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class StoredCertificate:
    """A certificate in the store; its chain and key lie in two files named by `id`."""

    id: str
    name: str
    sha256: str


class NameTaken(StoreError):
    """There is a certificate of that name, perhaps the same one."""

    def __init__(self, existing: StoredCertificate) -> None:
        super().__init__("name_taken")
        self.existing = existing


class CloudStore:
    """Safe to use from several threads of one process. A certificate never changes once it is stored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._index = private_folder(folder) / "index.json"
        kept = json.loads(self._index.read_text("utf-8")) if self._index.exists() else {}
        self._certificates = {row["id"]: StoredCertificate(**row) for row in kept.get("certificates", ())}
        self._domains: dict[str, str | None] = dict(kept.get("domains", {}))

    def add_certificate(self, name: str, chain_pem: str, key_pem: str) -> StoredCertificate:
        """Store a certificate with its key. Raises StoreError("certificate_refused"), NameTaken."""
        sha256 = _checked_sha256(chain_pem, key_pem)
        with self._lock:
            for existing in self._certificates.values():
                if existing.name == name:
                    raise NameTaken(existing)
            stored = StoredCertificate(uuid.uuid4().hex, name, sha256)
            chain_file, key_file = self.files(stored.id)
            _write_private(chain_file, chain_pem)
            _write_private(key_file, key_pem)
            self._certificates[stored.id] = stored
            self._save()
        return stored

    def certificates(self) -> tuple[StoredCertificate, ...]:
        return tuple(self._certificates.values())

    def files(self, certificate_id: str) -> tuple[Path, Path]:
        """Where the chain (leaf first) and the key of a certificate lie."""
        return self._folder / f"{certificate_id}.pem", self._folder / f"{certificate_id}.key"

    def add_domain(self, domain: str) -> None:
        """Have the domain, serving nothing yet. A domain that is there stays as it is."""
        with self._lock:
            self._domains.setdefault(domain.lower(), None)
            self._save()

    def domains(self) -> dict[str, str | None]:
        """Each domain with the id of the certificate bound to it."""
        return dict(self._domains)

    def bind(self, domain: str, certificate_id: str) -> None:
        """Raises StoreError: domain_not_found, certificate_not_found."""
        with self._lock:
            if domain.lower() not in self._domains:
                raise StoreError("domain_not_found")
            if certificate_id not in self._certificates:
                raise StoreError("certificate_not_found")
            self._domains[domain.lower()] = certificate_id
            self._save()

    def bound(self, domain: str) -> StoredCertificate | None:
        """What is bound to a domain. Raises StoreError("domain_not_found")."""
        if domain.lower() not in self._domains:
            raise StoreError("domain_not_found")
        return self._certificates.get(self._domains[domain.lower()] or "")

    def find_for(self, server_name: str) -> StoredCertificate | None:
        """What is served for a name: its own binding, else that of the wildcard above it."""
        name = server_name.lower()
        for domain in (name, f"*.{name.partition('.')[2]}"):
            if certificate_id := self._domains.get(domain):
                return self._certificates[certificate_id]
        return None

    def _save(self) -> None:
        rows = [asdict(one) for one in self._certificates.values()]
        draft = self._index.with_suffix(".draft")
        _write_private(draft, json.dumps({"certificates": rows, "domains": self._domains}, indent=1))
        draft.replace(self._index)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _checked_sha256(chain_pem: str, key_pem: str) -> str:
    """The fingerprint of the leaf, once its key is seen to match."""
    try:
        leaf = split_pem(chain_pem)[0]
        key = load_pem_private_key(key_pem.encode(), None)
        if same_public_key(key.public_key(), leaf.public_key()):
            return sha256_of(leaf)
    except (DomainError, ValueError, TypeError, UnsupportedAlgorithm):
        pass  # broken, encrypted or unknown: refused like a key that does not match
    raise StoreError("certificate_refused")

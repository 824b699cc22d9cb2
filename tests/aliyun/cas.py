"""The certificate store: what it was seen to do with uploads, searches and names."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from portal.domain.certificate import dns_names, same_public_key, split_pem
from portal.domain.errors import DomainError
from tests.aliyun.signature import Refusal

_LONGEST_NAME = 63


@dataclass(frozen=True)
class Upload:
    """One certificate in the store."""

    id: int
    name: str
    pem: str
    key: str = field(repr=False)
    leaf: x509.Certificate

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.leaf.public_bytes(Encoding.DER)).hexdigest()

    def row(self) -> dict[str, Any]:
        return {
            "CertificateId": self.id,
            "Name": self.name,
            "Sans": ",".join(dns_names(self.leaf)),
            "SerialNo": f"{self.leaf.serial_number:x}",
            "Sha2": self.sha256.upper(),
            "Upload": True,
            "EndDate": f"{self.leaf.not_valid_after_utc:%Y-%m-%d}",
        }


@dataclass
class CasStore:
    """`hide_sha2` leaves the fingerprint out of lists, as an older version of the service does."""

    folder: Path
    uploads: list[Upload] = field(default_factory=list)
    hide_sha2: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def upload_user_certificate(self, form: Mapping[str, str]) -> dict[str, Any]:
        name, pem, key = form.get("Name", ""), form.get("Cert", ""), form.get("Key", "")
        leaf = _checked_leaf(pem, key)
        with self._lock:
            if not name or len(name) > _LONGEST_NAME:
                raise Refusal(400, "InvalidParameter.Name")
            if any(one.name == name for one in self.uploads):
                raise Refusal(400, "NameRepeat")
            upload = Upload(10_000 + len(self.uploads), name, pem, key, leaf)
            for path, text in zip(self.files(upload.id), (pem, key), strict=True):
                path.write_text(text)
            self.uploads.append(upload)
        return {"CertId": upload.id, "ResourceId": f"cas-upload-{upload.id}"}

    def list_user_certificate_order(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Uploads only with OrderType=UPLOAD; a keyword is a part of a domain, never of a name."""
        keyword, uploaded = form.get("Keyword", ""), form.get("OrderType") == "UPLOAD"
        rows = [one.row() for one in self.uploads if uploaded and keyword in ",".join(dns_names(one.leaf))]
        for row in rows if self.hide_sha2 else ():
            del row["Sha2"]
        size, page = int(form.get("ShowSize", 50)), int(form.get("CurrentPage", 1))
        shown = rows[(page - 1) * size : page * size]
        return {
            "CertificateOrderList": shown,
            "TotalCount": len(rows),
            "CurrentPage": page,
            "ShowSize": size,
        }

    def get_user_certificate_detail(self, form: Mapping[str, str]) -> dict[str, Any]:
        """With the private key, unless CertFilter is true."""
        upload = self.get(form.get("CertId", ""))
        if upload is None:
            raise Refusal(404, "NotFound")
        secret = {} if form.get("CertFilter") == "true" else {"Cert": upload.pem, "Key": upload.key}
        return {"Id": upload.id, "Name": upload.name, "Sha2": upload.sha256.upper(), **secret}

    def get(self, cert_id: str) -> Upload | None:
        return next((one for one in self.uploads if str(one.id) == cert_id), None)

    def files(self, cert_id: int) -> tuple[Path, Path]:
        """Chain and key as files, for the edge."""
        return self.folder / f"{cert_id}.pem", self.folder / f"{cert_id}.key"


def _checked_leaf(pem: str, key_pem: str) -> x509.Certificate:
    """The leaf, first in the PEM, with no blank lines, and with the key that belongs to it, in the old formats."""
    try:
        leaf = split_pem(pem)[0]
    except DomainError:
        raise Refusal(400, "Certificate.FormatError") from None
    if "\n\n" in pem.strip():
        raise Refusal(400, "Certificate.FormatError")
    try:
        key = load_pem_private_key(key_pem.encode(), None)
    except (ValueError, TypeError):
        raise Refusal(400, "PrivateKeyFormatException") from None
    if isinstance(key, rsa.RSAPrivateKey) and "BEGIN RSA PRIVATE KEY" not in key_pem:
        raise Refusal(400, "PrivateKeyFormatException")
    if not same_public_key(key.public_key(), leaf.public_key()):
        raise Refusal(400, "NotMatch.CertificateAndPrivateKey")
    return leaf

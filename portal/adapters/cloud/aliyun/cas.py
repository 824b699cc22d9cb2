"""The certificate store of Alibaba Cloud (CAS, 2020-04-07): each certificate is uploaded once and bound by its id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from portal.adapters.cloud import errors
from portal.adapters.cloud.aliyun.answers import ALREADY_DONE
from portal.adapters.cloud.aliyun.client import SITES, AliyunClient
from portal.adapters.cloud.base import CloudSettings, Material
from portal.adapters.errors import AdapterError
from portal.domain.certificate import dns_names, split_pem
from portal.domain.errors import DomainError

_HOSTS = {"cn-hangzhou": "cas.aliyuncs.com", "ap-southeast-1": "cas.ap-southeast-1.aliyuncs.com"}
_PAGE = 100
#: The store's limit on names, and how many variants of a name are tried where others took it.
_LONGEST_NAME = 63
_VARIANTS = 5


class Cas:
    """The store at one site. All calls raise AdapterError."""

    def __init__(self, settings: CloudSettings) -> None:
        self.site = site_of(settings)
        self._client = AliyunClient(settings, "cas", "2020-04-07", _HOSTS[self.site])

    def check(self) -> None:
        """A read-only call."""
        self._client.call("ListUserCertificateOrder", OrderType="UPLOAD", CurrentPage=1, ShowSize=1)

    def upload(self, material: Material) -> str:
        """Store the certificate, unless it is there already under whatever name, and return its id.

        1. Look: an earlier upload may have succeeded with its answer lost, and the store counts against a quota.
           The store searches by domain, not by name, so the certificates for the leaf's first name are read.
        2. Upload under a name that no other certificate has.
        3. Where the store says that the name is taken after all (a name of another domain's certificate, or an
           upload at the same moment), look through everything, then try the next name.
        """
        taken = self._stored(keyword=_first_name(material))
        for name in _names(material.name):
            if found := self._find(material, taken, name):
                return found
            if name in taken:
                continue
            try:
                return self._upload(name, material)
            except AdapterError as error:
                if error.params.get("cloud_code") not in ALREADY_DONE:
                    raise
            taken = self._stored()
            if found := self._find(material, taken, name):
                return found
        raise AdapterError(errors.CERTIFICATE_REFUSED, permanent=True, action="UploadUserCertificate")

    def fingerprint(self, remote_id: str) -> str:
        """The SHA-256 (lower-case hex) of a stored certificate. Asks for its public part only."""
        detail = self._client.call("GetUserCertificateDetail", CertId=int(remote_id), CertFilter=True)
        return _hex(detail.get("Sha2"))

    def _upload(self, name: str, material: Material) -> str:
        answer = self._client.call(
            "UploadUserCertificate",
            Name=name,
            Cert=material.fullchain_pem,
            Key=traditional_key_pem(material.key_pem),
        )
        return str(answer["CertId"])

    def _find(self, material: Material, stored: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
        """The id of this very certificate among those stored; the one of that name is asked for its fingerprint."""
        for row in stored.values():
            if _hex(row.get("Sha2")) == material.sha256:
                return str(row["CertificateId"])
        same_name = stored.get(name)
        if same_name and not same_name.get("Sha2"):
            remote_id = str(same_name["CertificateId"])
            return remote_id if self.fingerprint(remote_id) == material.sha256 else None
        return None

    def _stored(self, keyword: str | None = None) -> dict[str, Mapping[str, Any]]:
        """Uploaded certificates by name; with a keyword, those with a domain that contains it."""
        return {str(row.get("Name")): row for row in self._rows(keyword)}

    def _rows(self, keyword: str | None) -> Iterator[Mapping[str, Any]]:
        extra = {"Keyword": keyword} if keyword else {}
        page, seen = 1, 0
        while True:
            answer = self._client.call(
                "ListUserCertificateOrder", OrderType="UPLOAD", CurrentPage=page, ShowSize=_PAGE, **extra
            )
            rows = answer.get("CertificateOrderList") or []
            yield from rows
            page, seen = page + 1, seen + len(rows)
            if not rows or seen >= int(answer.get("TotalCount") or 0):
                return


def site_of(settings: CloudSettings) -> str:
    """The site in an account's settings. Raises AdapterError("cloud_refused") for one that has no store."""
    site = str(settings.config.get("site") or SITES[0])
    if site not in SITES:
        raise AdapterError(errors.REFUSED, permanent=True, site=site)
    return site


def traditional_key_pem(key_pem: str) -> str:
    """The key as Alibaba wants it: PKCS#1 for RSA, SEC 1 for elliptic curves."""
    try:
        key = load_pem_private_key(key_pem.encode(), None)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        text = b""
    if not text:
        raise AdapterError(errors.CERTIFICATE_REFUSED, permanent=True, action="UploadUserCertificate")
    return text.decode()


def _names(name: str) -> Iterator[str]:
    """The name within the store's limits, its end (the fingerprint) kept, then variants of it."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    for number in range(1, _VARIANTS + 1):
        suffix = "" if number == 1 else f"-{number}"
        room = _LONGEST_NAME - len(suffix)
        yield (safe if len(safe) <= room else safe[: room - 13] + safe[-13:]) + suffix


def _first_name(material: Material) -> str:
    try:
        return dns_names(split_pem(material.fullchain_pem)[0])[0]
    except (DomainError, IndexError):
        raise AdapterError(
            errors.CERTIFICATE_REFUSED, permanent=True, action="UploadUserCertificate"
        ) from None


def _hex(fingerprint: object) -> str:
    return str(fingerprint or "").replace(":", "").lower()

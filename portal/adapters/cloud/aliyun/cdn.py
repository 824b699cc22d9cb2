"""Alibaba Cloud CDN (2018-05-10): certificates are bound to accelerated domains by their id in CAS."""

from __future__ import annotations

from collections.abc import Iterator

from portal.adapters.cloud import errors
from portal.adapters.cloud.aliyun.answers import ALREADY_DONE
from portal.adapters.cloud.aliyun.cas import Cas
from portal.adapters.cloud.aliyun.client import AliyunClient
from portal.adapters.cloud.base import CloudSettings, Material
from portal.adapters.errors import AdapterError
from portal.domain.certificate import sha256_of, split_pem
from portal.domain.errors import DomainError

_HOSTS = {"cn-hangzhou": "cdn.aliyuncs.com", "ap-southeast-1": "cdn.ap-southeast-1.aliyuncs.com"}
_PAGE = 500
#: Domains in another state are being deleted, refused or switched off.
_USABLE = frozenset({"online", "configuring"})


class Cdn:
    """One account's CDN. See portal.adapters.cloud.base.CloudProductAdapter for the promises."""

    def __init__(self, settings: CloudSettings) -> None:
        self._cas = Cas(settings)
        self._client = AliyunClient(settings, "cdn", "2018-05-10", _HOSTS[self._cas.site])

    @property
    def site(self) -> str:
        return self._cas.site

    def check_credentials(self) -> None:
        self._cas.check()
        self._client.call("DescribeUserDomains", PageNumber=1, PageSize=1)

    def upload(self, material: Material) -> str:
        return self._cas.upload(material)

    def bind(self, domain: str, remote_id: str) -> None:
        """Setting the same certificate again is harmless; "already there" counts only if it is the same."""
        try:
            self._client.call(
                "SetCdnDomainSSLCertificate",
                DomainName=cdn_name(domain),
                SSLProtocol="on",
                CertType="cas",
                CertId=int(remote_id),
                CertRegion=self.site,
            )
        except AdapterError as error:
            if error.params.get("cloud_code") not in ALREADY_DONE:
                raise
            if self.bound_sha256(domain) != self._cas.fingerprint(remote_id):
                raise

    def bound_sha256(self, domain: str) -> str | None:
        answer = self._client.call("DescribeDomainCertificateInfo", DomainName=cdn_name(domain))
        infos = (answer.get("CertInfos") or {}).get("CertInfo") or []
        pem = str(infos[0].get("ServerCertificate") or "") if infos else ""
        if not pem.strip() or infos[0].get("ServerCertificateStatus") == "off":
            return None
        try:
            return sha256_of(split_pem(pem)[0])
        except DomainError:
            raise AdapterError(errors.REFUSED, permanent=True, domain=domain) from None

    def list_domains(self) -> tuple[str, ...]:
        return tuple(self._domains())

    def _domains(self) -> Iterator[str]:
        page, seen = 1, 0
        while True:
            answer = self._client.call("DescribeUserDomains", PageNumber=page, PageSize=_PAGE)
            rows = (answer.get("Domains") or {}).get("PageData") or []
            yield from (str(row["DomainName"]) for row in rows if row.get("DomainStatus") in _USABLE)
            page, seen = page + 1, seen + len(rows)
            if not rows or seen >= int(answer.get("TotalCount") or 0):
                return


def cdn_name(domain: str) -> str:
    """How CDN writes a domain: a wildcard begins with a dot."""
    return domain.removeprefix("*")

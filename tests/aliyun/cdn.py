"""Accelerated domains and the certificates bound to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.aliyun.cas import CasStore, Upload
from tests.aliyun.signature import Refusal

_REGIONS = ("cn-hangzhou", "ap-southeast-1")


@dataclass
class CdnDomains:
    """`bound` maps a domain (".example.com" for a wildcard) to an upload's id; `bindings` is every change, in order."""

    store: CasStore
    status: dict[str, str] = field(default_factory=dict)
    bound: dict[str, int] = field(default_factory=dict)
    bindings: list[tuple[str, int]] = field(default_factory=list)

    def set_cdn_domain_ssl_certificate(self, form: Mapping[str, str]) -> dict[str, Any]:
        domain = self._usable(form)
        if form.get("SSLProtocol") == "off":
            self.bound.pop(domain, None)
            return {}
        if form.get("CertType") != "cas":
            raise Refusal(400, "InvalidCertType.ValueNotSupported")
        if form.get("CertRegion") not in _REGIONS:
            raise Refusal(400, "Abs.CertRegion.ValueNotSupported")
        upload = self.store.get(form.get("CertId", ""))
        if upload is None:
            raise Refusal(400, "Certificate.NotFind")
        self.bound[domain] = upload.id
        self.bindings.append((domain, upload.id))
        return {}

    def describe_domain_certificate_info(self, form: Mapping[str, str]) -> dict[str, Any]:
        domain = self._known(form)
        upload = self.bound_upload(domain)
        info: dict[str, Any] = {"DomainName": domain, "ServerCertificateStatus": "on" if upload else "off"}
        if upload:
            info |= {"CertName": upload.name, "CertType": "cas", "ServerCertificate": upload.pem}
        return {"CertInfos": {"CertInfo": [info]}}

    def describe_user_domains(self, form: Mapping[str, str]) -> dict[str, Any]:
        size, page = int(form.get("PageSize", 20)), int(form.get("PageNumber", 1))
        if not 1 <= size <= 500:
            raise Refusal(400, "InvalidPageSize.ValueNotSupported")
        rows = [{"DomainName": name, "DomainStatus": status} for name, status in sorted(self.status.items())]
        shown = rows[(page - 1) * size : page * size]
        return {
            "Domains": {"PageData": shown},
            "TotalCount": len(rows),
            "PageNumber": page,
            "PageSize": size,
        }

    def bound_upload(self, domain: str) -> Upload | None:
        return self.store.get(str(self.bound.get(domain, "")))

    def served(self, server_name: str) -> Upload | None:
        """By SNI: the domain itself, else the wildcard above it."""
        parent = server_name.partition(".")[2]
        return self.bound_upload(server_name) or self.bound_upload(f".{parent}")

    def _known(self, form: Mapping[str, str]) -> str:
        domain = form.get("DomainName", "")
        if domain not in self.status:
            raise Refusal(404, "InvalidDomain.NotFound")
        return domain

    def _usable(self, form: Mapping[str, str]) -> str:
        domain = self._known(form)
        if self.status[domain] != "online":
            raise Refusal(400, "InvalidDomain.notOnline")
        return domain

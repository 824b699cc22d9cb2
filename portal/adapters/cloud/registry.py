"""Which clouds there are, what each must be told, and the products of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portal.adapters.cloud.base import CloudProductAdapter, CloudSettings
from portal.adapters.fields import Field
from portal.adapters.loading import load


@dataclass(frozen=True)
class Provider:
    """`products` maps a product's slug to its implementation; `permissions` are listed for copying."""

    label: str
    fields: tuple[Field, ...]
    products: Mapping[str, str]
    permissions: tuple[str, ...] = ()


PROVIDERS: Mapping[str, Provider] = {
    "aliyun": Provider(
        "Alibaba Cloud",
        (
            Field("access_key_id", "AccessKey ID"),
            Field("access_key_secret", "AccessKey secret", is_secret=True),
            Field("site", "Site", default="cn-hangzhou", choices=("cn-hangzhou", "ap-southeast-1")),
        ),
        {"cdn": "portal.adapters.cloud.aliyun.cdn:Cdn"},
        (
            "yundun-cert:UploadUserCertificate",
            "yundun-cert:GetUserCertificateDetail",
            "yundun-cert:ListUserCertificateOrder",
            "cdn:DescribeUserDomains",
            "cdn:DescribeDomainCertificateInfo",
            "cdn:SetCdnDomainSSLCertificate",
        ),
    ),
    "sandbox": Provider(
        "Sandbox cloud",
        (Field("url", "Address"), Field("token", "Token", is_secret=True)),
        {"cdn": "portal.adapters.cloud.sandbox:SandboxProduct"},
    ),
}


def connect(provider: str, product: str, settings: CloudSettings) -> CloudProductAdapter:
    """A product in an account. Raises KeyError for an unknown provider or product."""
    implementation: CloudProductAdapter = load(PROVIDERS[provider].products[product])(settings)
    return implementation

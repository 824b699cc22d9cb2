"""An account at a pebble, and the proofs that it wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portal.adapters.ca.acme import AcmeCa
from portal.adapters.ca.base import Authorization, CaSettings, Challenge, ChallengeKind
from portal.adapters.dns.delegation import follow_delegation
from portal.adapters.dns.sandbox import SandboxDns
from tests.pebble import Pebble


@dataclass
class AcmeWorld:
    """`proofs` is the method that names are proved by; wildcards always take DNS."""

    server: Pebble
    directory_url: str
    proofs: ChallengeKind = ChallengeKind.DNS_01
    config: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    account_url: str | None = None
    timeout: float = 20.0

    def __post_init__(self) -> None:
        self.config = {"directory_url": self.directory_url, "ca_bundle": self.server.ca_bundle, **self.config}
        self.secrets = {**AcmeCa.make_secrets(self.config), **self.secrets}

    def registered(self) -> AcmeWorld:
        self.account_url = self.connect().register()
        return self

    def connect(self) -> AcmeCa:
        return AcmeCa(CaSettings("pebble", self.config, self.secrets, self.account_url, self.timeout))

    def prove(self, authorization: Authorization) -> Challenge:
        kind = ChallengeKind.DNS_01 if authorization.is_wildcard else self.proofs
        challenge = next(one for one in authorization.challenges if one.kind is kind)
        if kind is ChallengeKind.DNS_01:
            fqdn = follow_delegation(f"_acme-challenge.{authorization.name}", self.server.dns_address)
            SandboxDns(self.server.dns_options, {}, 5).add_txt(fqdn, challenge.dns_value)
        else:
            self.server.call("add-http01", token=challenge.token, content=challenge.key_authorization)
        return challenge

    def issued(self) -> int:
        return len(self.server.issued())

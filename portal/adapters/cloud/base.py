"""What a cloud product is asked: store a certificate, bind it to a domain, say what is bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Material:
    """A certificate on its way to a cloud. `key_pem` is in clear, here and in the call alone, and never printed.

    `name` is `<domain>-<first 12 hex digits of sha256>`: the same certificate always has the same name, so an upload
    can be repeated.
    """

    name: str
    fullchain_pem: str
    key_pem: str = field(repr=False)
    sha256: str


@dataclass(frozen=True)
class CloudSettings:
    """An account at a cloud: public settings, credentials in clear, and where its products answer.

    `endpoints` maps a product to scheme://host:port where the default is to be overridden; `timeout` is seconds.
    `allowed_networks` are the networks beside the global ones that an address in `config` may lie in.
    """

    config: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 20.0
    allowed_networks: tuple[str, ...] = ()


class CloudProductAdapter(Protocol):
    """One product of one cloud account. All calls raise AdapterError; the codes are listed in cloud/errors.py.

    `site` names the certificate store that the product reads from: one upload serves every target of a site.
    """

    @property
    def site(self) -> str: ...

    def check_credentials(self) -> None:
        """A read-only call that fails as deploying would."""
        ...

    def upload(self, material: Material) -> str:
        """Store the certificate and return its id there. The same one there already counts as done."""
        ...

    def bind(self, domain: str, remote_id: str) -> None:
        """Have `domain` serve the stored certificate. Safe to repeat."""
        ...

    def bound_sha256(self, domain: str) -> str | None:
        """The SHA-256 (lower-case hex) of the leaf that the product says is bound; None if nothing is."""
        ...

    def list_domains(self) -> tuple[str, ...]:
        """The domains of this product in this account that could be targets."""
        ...

"""Clouds for the contract suite: each a real server, its faults, and an adapter that talks to it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from werkzeug.wrappers import Request

from portal.adapters.cloud import registry
from portal.adapters.cloud.base import CloudProductAdapter, CloudSettings, Material
from portal.domain.certificate import sha256_of
from portal.sandbox.cloud import SandboxCloud
from portal.sandbox.serving import WebServer
from tests import pki
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer
from tests.cloud_faults import Fault, Faults, faulty, json_refusals

LOOPBACK = ("127.0.0.0/8",)
TIMEOUT = 0.5
TOKEN = "sandbox-token-of-a-test"


class Stand(Protocol):
    """`actions` names the server's action behind "upload", "bind", "read" and "list"."""

    faults: Faults
    actions: dict[str, str]
    secrets: tuple[str, ...]

    def adapter(self, *, timeout: float = TIMEOUT, secret: str | None = None) -> CloudProductAdapter: ...
    def add_domain(self, domain: str, made: pki.Made | None = None) -> None: ...
    def stored(self) -> list[str]: ...
    def stop(self) -> None: ...

    @property
    def edge_address(self) -> str: ...


@dataclass
class AliyunStand:
    server: AliyunServer

    def __post_init__(self) -> None:
        self.faults = self.server.faults
        self.secrets = (ACCESS_KEY_SECRET,)
        self.actions = {
            "upload": "UploadUserCertificate",
            "bind": "SetCdnDomainSSLCertificate",
            "read": "DescribeDomainCertificateInfo",
            "list": "DescribeUserDomains",
        }

    def adapter(self, *, timeout: float = TIMEOUT, secret: str | None = None) -> CloudProductAdapter:
        config = {"access_key_id": ACCESS_KEY_ID, "site": "cn-hangzhou"}
        secrets = {"access_key_secret": secret or ACCESS_KEY_SECRET}
        return registry.connect(
            "aliyun", "cdn", CloudSettings(config, secrets, self.server.endpoints, timeout)
        )

    def add_domain(self, domain: str, made: pki.Made | None = None) -> None:
        parts = (made.fullchain_pem, made.key_pem) if made else ()
        self.server.add_domain(domain.removeprefix("*"), *parts)

    def stored(self) -> list[str]:
        return [one.sha256 for one in self.server.uploads]

    def stop(self) -> None:
        self.server.stop()

    @property
    def edge_address(self) -> str:
        return self.server.edge_address


_SANDBOX_REFUSALS = {
    Fault.THROTTLED: (429, {"error": "throttled"}),
    Fault.UNAVAILABLE: (503, {"error": "unavailable"}),
    Fault.FORBIDDEN: (403, {"error": "forbidden"}),
    Fault.BAD_CREDENTIALS: (401, {"error": "unauthorized"}),
    Fault.VANISHED: (404, {"error": "domain_not_found"}),
}


def _sandbox_action(request: Request) -> tuple[str, str]:
    kind = "certificates" if request.path.endswith("/certificates") else "one"
    kind = "binding" if request.path.endswith("/certificate") else kind
    kind = "domains" if request.path.endswith("/domains") else kind
    return f"{request.method} {kind}", request.path


class SandboxStand:
    def __init__(self, folder: Path) -> None:
        self.cloud = SandboxCloud(folder, TOKEN)
        self.faults = Faults(json_refusals(_SANDBOX_REFUSALS))
        self.secrets = (TOKEN,)
        self.actions = {
            "upload": "POST certificates",
            "bind": "PUT binding",
            "read": "GET one",
            "list": "GET domains",
        }
        self._server = WebServer(faulty(self.cloud.wsgi, self.faults, _sandbox_action))
        self._server.start("127.0.0.1", 0)
        self.cloud.edge.start()

    def adapter(self, *, timeout: float = TIMEOUT, secret: str | None = None) -> CloudProductAdapter:
        settings = CloudSettings(
            {"url": self._server.url},
            {"token": secret or TOKEN},
            timeout=timeout,
            allowed_networks=LOOPBACK,
        )
        return registry.connect("sandbox", "cdn", settings)

    def add_domain(self, domain: str, made: pki.Made | None = None) -> None:
        parts = (made.fullchain_pem, made.key_pem) if made else ()
        self.cloud.add_domain(domain, *parts)

    def stored(self) -> list[str]:
        return [one.sha256 for one in self.cloud.store.certificates()]

    def stop(self) -> None:
        self._server.stop()
        self.cloud.stop()

    @property
    def edge_address(self) -> str:
        return self.cloud.edge_address


@contextmanager
def open_stand(name: str) -> Iterator[Stand]:
    """A fresh cloud of that kind."""
    with tempfile.TemporaryDirectory(prefix="cloud-") as folder:
        stand: Stand
        if name == "aliyun":
            server = AliyunServer()
            server.start()
            stand = AliyunStand(server)
        else:
            stand = SandboxStand(Path(folder) / "cloud")
        try:
            yield stand
        finally:
            stand.stop()


def material_of(made: pki.Made, name: str | None = None) -> Material:
    """What a deployment hands over."""
    sha256 = sha256_of(made.leaf)
    domain = name or f"shop.example.com-{sha256[:12]}"
    return Material(domain, made.fullchain_pem, made.key_pem, sha256)

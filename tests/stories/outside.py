"""The outside of the story as it really is spoken to: an ACME CA, Alibaba Cloud, a mail server, a gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from portal.sandbox.payment import SandboxPayment
from tests.aliyun_server import AliyunServer
from tests.gateway import SECRET, sandbox_gateway
from tests.pebble import Pebble, pebble
from tests.pki import Made, make_certificate
from tests.servers import MailServer, mail_server

DOMAIN = "shop.example.com"
#: What a public CA gives in 2026.
VALIDITY_SECONDS = 199 * 24 * 3600


@dataclass(frozen=True)
class Outside:
    """Everything that Perennial talks to. `old` is what the edge serves for DOMAIN when the story begins."""

    ca: Pebble
    cloud: AliyunServer
    mail: MailServer
    gateway: SandboxPayment
    old: Made

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead here."""
        return {
            "PORTAL_MAIL_URL": self.mail.url,
            "PORTAL_PAYMENT_SANDBOX_URL": self.gateway.url,
            "PORTAL_PAYMENT_SANDBOX_SECRET": SECRET,
            "PORTAL_ALIYUN_ENDPOINTS": json.dumps(self.cloud.endpoints),
            "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
        }


@contextmanager
def outside(folder: Path, nonce_reject: int = 20) -> Iterator[Outside]:
    """Start all of it."""
    old = make_certificate([DOMAIN])
    with ExitStack() as stack:
        ca = stack.enter_context(pebble(nonce_reject=nonce_reject, validity_seconds=VALIDITY_SECONDS))
        cloud = stack.enter_context(AliyunServer())
        cloud.add_domain(DOMAIN, old.fullchain_pem, old.key_pem)
        mail = stack.enter_context(mail_server())
        gateway = stack.enter_context(sandbox_gateway(folder / "gateway"))
        yield Outside(ca, cloud, mail, gateway, old)

"""The whole sandbox at once: cloud with its edge, payment page, mailbox, each on a port of this machine."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from portal.sandbox.cloud import SandboxCloud
from portal.sandbox.mailbox import SandboxMailbox
from portal.sandbox.payment import SandboxPayment
from portal.sandbox.serving import private_folder
from portal.settings import kept_secret


@dataclass(frozen=True)
class Ports:
    """Where each part listens; 0 takes a free port."""

    cloud: int = 8091
    edge: int = 8443
    payment: int = 8092
    mailbox: int = 8093
    smtp: int = 8025


def token_file(folder: Path) -> Path:
    """Where the cloud's token lies."""
    return folder / "cloud.token"


def payment_secret_file(folder: Path) -> Path:
    """Where the secret that payments are signed with lies."""
    return folder / "payment.secret"


def make_secrets(folder: Path) -> None:
    """Make what is not there yet; each file is for this user alone."""
    private_folder(folder)
    for path in (token_file(folder), payment_secret_file(folder)):
        kept_secret(path, secrets.token_urlsafe(32))


class SandboxWorld:
    """Everything that the sandbox keeps lies in `folder`."""

    def __init__(self, folder: Path, host: str, ports: Ports) -> None:
        make_secrets(folder)
        self._host, self._ports = host, ports
        self.cloud = SandboxCloud(folder / "cloud", token_file(folder).read_text("utf-8").strip())
        secret = payment_secret_file(folder).read_text("utf-8").strip()
        self.payment = SandboxPayment(folder / "payment", secret)
        self.mailbox = SandboxMailbox(folder / "mailbox")

    def __enter__(self) -> SandboxWorld:
        try:
            self.cloud.start(self._host, self._ports.cloud, self._ports.edge)
            self.payment.start(self._host, self._ports.payment)
            self.mailbox.start(self._host, self._ports.smtp, self._ports.mailbox)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Safe to repeat."""
        for part in (self.mailbox, self.payment, self.cloud):
            part.stop()


def portal_environment(folder: Path, host: str, ports: Ports) -> Mapping[str, str]:
    """What a portal must be told to live in this sandbox. Secrets are named by their files."""
    return {
        "PORTAL_PAYMENT_GATEWAY": "sandbox",
        "PORTAL_PAYMENT_SANDBOX_URL": f"http://{host}:{ports.payment}",
        "PORTAL_PAYMENT_SANDBOX_SECRET_FILE": str(payment_secret_file(folder)),
        "PORTAL_MAIL_URL": f"smtp://{host}:{ports.smtp}",
        "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8" if host.startswith(("127.", "localhost")) else f"{host}/32",
    }

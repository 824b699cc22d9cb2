"""Which payment gateways there are."""

from __future__ import annotations

from collections.abc import Mapping

from portal.adapters.loading import load
from portal.adapters.payment.base import PaymentGateway
from portal.settings import Settings

GATEWAYS: Mapping[str, str] = {"sandbox": "portal.adapters.payment.sandbox:SandboxGateway"}


def connect(name: str, settings: Settings) -> PaymentGateway:
    """The gateway as the settings describe it. Raises KeyError for an unknown name."""
    gateway: PaymentGateway = load(GATEWAYS[name])(settings)
    return gateway

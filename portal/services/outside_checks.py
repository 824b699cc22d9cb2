"""Checks of what lies outside of an installation: CAs, the delegation zone, clouds, the payment gateway."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from portal.extensions import db
from portal.models.deployment import CloudAccount
from portal.services import ca_accounts, delegation
from portal.services.findings import Finding, Health
from portal.settings import Settings

#: How long the trial record is looked for (seconds): a provider of a cloud needs some.
PROBE_PATIENCE = 15.0


def ca_accounts_check(_settings: Settings, _now: datetime) -> Finding:
    """Each CA account is registered, and its CA answers."""
    name = "CA accounts"
    accounts = ca_accounts.list_all()
    if not accounts:
        return Finding(name, Health.WARNING, "none: nothing can be renewed", "portal ca add NAME …")
    for account in accounts:
        if account.account_url is None:
            return Finding(
                name, Health.BROKEN, f"{account.name} is not registered", f"portal ca add {account.name} …"
            )
        client = ca_accounts.connect(account)
        db.session.commit()
        client.register()
    return Finding(name, Health.OK, ", ".join(f"{account.name} answers" for account in accounts))


def cloud_accounts_check(_settings: Settings, _now: datetime) -> Finding:
    """No cloud has refused an account when it was last tried."""
    query = (
        select(CloudAccount.name, CloudAccount.error_code)
        .where(CloudAccount.error_code.is_not(None))
        .limit(3)
    )
    refused = [f"{name}: {code}" for name, code in db.session.execute(query)]
    if refused:
        return Finding(
            "cloud accounts", Health.WARNING, "; ".join(refused), "ask their owners for new credentials"
        )
    return Finding("cloud accounts", Health.OK, "none is refused")


def delegation_check(_settings: Settings, now: datetime) -> Finding:
    """A trial record goes through the service's own zone, as a validation record will."""
    if delegation.find() is None:
        return Finding("delegation zone", Health.OK, "none: customers are not offered delegation")
    zone = delegation.probe(now, PROBE_PATIENCE)
    return Finding("delegation zone", Health.OK, f"{zone.zone}: a trial record was written and seen")


def payment_check(settings: Settings, _now: datetime) -> Finding:
    """There is a gateway, and it is a real one."""
    if settings.payment_gateway != "sandbox":
        return Finding("payment", Health.OK, settings.payment_gateway)
    if not settings.payment_sandbox_url or not settings.payment_sandbox_secret:
        return Finding(
            "payment",
            Health.WARNING,
            "no gateway is configured: nobody can pay",
            "set PORTAL_PAYMENT_GATEWAY",
        )
    return Finding(
        "payment", Health.WARNING, "the sandbox: no real money moves", "set PORTAL_PAYMENT_GATEWAY"
    )

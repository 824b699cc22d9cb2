"""Deployment targets: the domains on cloud products that certificates are brought to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import idna
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from portal.adapters import live_check
from portal.adapters.cloud.registry import PROVIDERS
from portal.domain.deployment import covers
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.deployment import CloudAccount, DeploymentTarget
from portal.models.types import new_id
from portal.services.acting import Actor, audit
from portal.services.operations import leave_transaction, settings


@dataclass(frozen=True)
class NewTarget:
    """What a customer says of a target. `live_address` (host:port) and `live_host` are for the live check alone."""

    product: str
    domain: str
    live_address: str | None = None
    live_host: str | None = None
    is_automatic: bool = True


def add_target(account: CloudAccount, new: NewTarget, actor: Actor, now: datetime) -> DeploymentTarget:
    """Store a target of an account that the caller loaded through the actor's organisation.

    Raises DomainError: unknown_cloud_product, domain_invalid, live_host_missing (a wildcard needs a name to look at),
    live_host_not_covered, target_exists; AdapterError("live_address_forbidden").
    """
    if new.product not in PROVIDERS[account.provider].products:
        raise DomainError("unknown_cloud_product", product=new.product)
    domain = normal_domain(new.domain)
    live_host = _live_host(domain, new.live_host)
    leave_transaction()
    if new.live_address:
        live_check.check_address(
            new.live_address, timeout=settings().step_timeout, allowed_networks=settings().allowed_networks
        )
    target = DeploymentTarget(
        id=new_id(),
        organisation_id=account.organisation_id,
        cloud_account_id=account.id,
        product=new.product,
        domain=domain,
        live_address=new.live_address,
        live_host=live_host,
        is_automatic=new.is_automatic,
        created_at=now,
    )
    db.session.add(target)
    audit(actor, "target_added", "deployment_targets", target.id, now, product=new.product, domain=domain)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise DomainError("target_exists", domain=domain, product=new.product) from None
    return target


def list_targets(organisation_id: str) -> Sequence[DeploymentTarget]:
    """The organisation's targets by domain, their accounts and certificates loaded."""
    query = (
        select(DeploymentTarget)
        .where(DeploymentTarget.organisation_id == organisation_id)
        .order_by(DeploymentTarget.domain, DeploymentTarget.product, DeploymentTarget.id)
        .options(joinedload(DeploymentTarget.cloud_account), joinedload(DeploymentTarget.certificate))
    )
    return db.session.scalars(query).all()


def normal_domain(text: str) -> str:
    """A domain as it is stored: lower-case A-labels, a wildcard as "*.example.com".

    Raises DomainError("domain_invalid").
    """
    name = text.strip().lower().rstrip(".")
    is_wildcard = name.startswith(("*.", "."))
    try:
        plain = idna.encode(name.removeprefix("*").removeprefix("."), uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise DomainError("domain_invalid", domain=text[:255]) from None
    if is_wildcard and "." not in plain:
        raise DomainError("domain_invalid", domain=text[:255])
    return f"*.{plain}" if is_wildcard else plain


def _live_host(domain: str, given: str | None) -> str | None:
    """The name to ask for by SNI, where it is not the domain itself."""
    if not domain.startswith("*."):
        return None
    if not given:
        raise DomainError("live_host_missing", domain=domain)
    host = normal_domain(given)
    if not covers((domain,), host):
        raise DomainError("live_host_not_covered", domain=domain, host=host)
    return host

"""Accounts at clouds and the targets in them: added with their credentials sealed, listed, and connected to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.adapters.cloud import registry
from portal.adapters.cloud.base import CloudProductAdapter, CloudSettings
from portal.adapters.cloud.registry import PROVIDERS, Provider
from portal.adapters.errors import AdapterError
from portal.adapters.key_vault import Place
from portal.domain.errors import DomainError
from portal.extensions import db
from portal.models.account import Organisation
from portal.models.deployment import CloudAccount
from portal.models.types import new_id
from portal.services.acting import Actor, audit
from portal.services.given_fields import split
from portal.services.operations import leave_transaction, settings
from portal.services.private_keys import vault


def add_account(
    name: str, provider: str, given: Mapping[str, str], actor: Actor, now: datetime
) -> CloudAccount:
    """Store an account of the actor's organisation; `given` holds the provider's fields, secret ones among them.

    Raises DomainError: unknown_cloud_provider, unknown_field, field_missing, field_wrong, cloud_account_name_taken.
    """
    credentials = split(_provider(provider).fields, given)
    account = CloudAccount(
        id=new_id(),
        organisation_id=actor.organisation_id,
        name=name,
        provider=provider,
        config=dict(credentials.config),
        created_at=now,
    )
    account.secrets = vault().seal(json.dumps(dict(credentials.secrets)).encode(), _place(account))
    db.session.add(account)
    audit(actor, "cloud_account_added", "cloud_accounts", account.id, now, provider=provider)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise DomainError("cloud_account_name_taken", name=name) from None
    return account


def list_accounts(organisation_id: str) -> Sequence[CloudAccount]:
    """The organisation's accounts by name."""
    query = select(CloudAccount).where(CloudAccount.organisation_id == organisation_id)
    return db.session.scalars(query.order_by(CloudAccount.name)).all()


def get_account(organisation_id: str, name_or_id: str) -> CloudAccount:
    """One of the organisation's accounts. Raises DomainError("cloud_account_not_found")."""
    either = (CloudAccount.id == name_or_id) | (CloudAccount.name == name_or_id)
    account = db.session.scalar(
        select(CloudAccount).where(CloudAccount.organisation_id == organisation_id, either)
    )
    if account is None:
        raise DomainError("cloud_account_not_found", name=name_or_id)
    return account


def organisation_named(name_or_id: str) -> Organisation:
    """The organisation that the command line speaks of; "" means the only one.

    Raises DomainError: organisation_not_found, organisation_ambiguous.
    """
    query = select(Organisation).order_by(Organisation.created_at).limit(2)
    if name_or_id:
        query = query.where((Organisation.id == name_or_id) | (Organisation.name == name_or_id))
    found = db.session.scalars(query).all()
    if not found:
        raise DomainError("organisation_not_found", name=name_or_id)
    if len(found) > 1:
        raise DomainError("organisation_ambiguous", name=name_or_id)
    return found[0]


def check_account(account: CloudAccount, now: datetime) -> None:
    """Ask every product of the account whether deploying would work, and record the answer.

    Raises AdapterError as the first product that said no; the record then holds its code.
    """
    adapters = [connect(account, product) for product in _provider(account.provider).products]
    leave_transaction()
    failure: AdapterError | None = None
    for adapter in adapters:
        try:
            adapter.check_credentials()
        except AdapterError as error:
            failure = failure or error
    account.checked_at = now
    account.error_code = failure.code if failure else None
    db.session.commit()
    if failure is not None:
        raise failure


def list_domains(account: CloudAccount, product: str) -> tuple[str, ...]:
    """The domains that the product has and that could be targets. Raises AdapterError."""
    adapter = connect(account, product)
    leave_transaction()
    return adapter.list_domains()


def connect(account: CloudAccount, product: str) -> CloudProductAdapter:
    """A product in an account, its credentials opened. Talks to nobody yet.

    Raises DomainError("unknown_cloud_product").
    """
    if product not in _provider(account.provider).products:
        raise DomainError("unknown_cloud_product", product=product)
    return registry.connect(account.provider, product, cloud_settings(account))


def cloud_settings(account: CloudAccount) -> CloudSettings:
    """What an adapter needs to know of an account, secrets in clear."""
    secrets = json.loads(vault().open(account.secrets, _place(account))) if account.secrets else {}
    installation = settings()
    return CloudSettings(
        config=dict(account.config),
        secrets=secrets,
        endpoints=installation.aliyun_endpoints,
        timeout=installation.step_timeout,
        allowed_networks=installation.allowed_networks,
    )


def _place(account: CloudAccount) -> Place:
    return Place(account.organisation_id, "cloud_accounts", account.id, "secrets")


def _provider(name: str) -> Provider:
    if name not in PROVIDERS:
        raise DomainError("unknown_cloud_provider", provider=name, choices=", ".join(PROVIDERS))
    return PROVIDERS[name]

"""Rotating master keys: everything sealed moves under the newest one, and a stop in between loses nothing."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import LargeBinary
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.key_vault import KeyVault, VaultError, master_key_version
from portal.domain.certificate import same_public_key, split_pem
from portal.extensions import Base
from portal.models.certificate import Certificate
from portal.services import (
    ca_accounts,
    cloud_accounts,
    delegation,
    dns_credentials,
    private_keys,
    rewrapping,
)
from portal.services.acting import Actor
from tests.databases import MASTER_KEYS
from tests.factories import Cast, Factory

TWO_KEYS = {**MASTER_KEYS, 2: bytes(range(32, 64))}


@pytest.fixture
def certificate(factory: Factory, cast: Cast, now: datetime) -> Certificate:
    """One envelope of every kind: a certificate's key, a renewal's, an account's at a CA and at a cloud, credentials of
    a customer at a DNS provider, and those of the service's own zone.
    """
    certificate = factory.certificate(cast.organisation)
    renewal = factory.renewal(factory.hosting(certificate))
    renewal.private_key = factory.seal_key(factory_key(), private_keys.renewal_key_place(renewal))
    factory.session.commit()
    factory.cloud_account(cast.organisation, secrets={"token": "hush"}, config={"url": "http://127.0.0.1:1"})
    given = {"access_key_id": "id", "access_key_secret": "hush"}
    dns_credentials.add("dns", "aliyun", given, Actor("test", cast.organisation.id), now)
    delegation.set_up("svc.test", "aliyun", given, None, "test", now)
    return certificate


def factory_key():
    from tests import pki

    return pki.key("ec-p256", 7)


def test_every_sealed_column_of_the_models_is_known() -> None:
    binary = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert binary == {(one.model.__tablename__, one.column) for one in rewrapping.SEALED_COLUMNS}


def test_everything_moves_under_the_newest_key_and_opens(
    core_app: Flask, session: scoped_session[Session], certificate: Certificate
) -> None:
    core_app.extensions["vault"] = KeyVault(TWO_KEYS)
    assert rewrapping.versions_in_use() == {1: 6}
    assert rewrapping.rewrap_all() == (6, 0)
    assert rewrapping.versions_in_use() == {2: 6}
    assert rewrapping.rewrap_all() == (0, 6)
    core_app.extensions["vault"] = KeyVault({2: TWO_KEYS[2]})
    session.expire_all()
    assert rewrapping.check_all() == 6
    leaf = split_pem(certificate.leaf_pem)[0]
    assert same_public_key(private_keys.open_certificate_key(certificate).public_key(), leaf.public_key())
    (cloud,) = cloud_accounts.list_accounts(certificate.organisation_id)
    assert cloud_accounts.cloud_settings(cloud).secrets == {"token": "hush"}
    (account,) = ca_accounts.list_all()
    assert ca_accounts.connect(account).register()
    (credential,) = dns_credentials.list_for(certificate.organisation_id)
    assert dns_credentials.provider(credential)
    zone = delegation.find()
    assert zone is not None
    assert delegation.provider(zone)


def test_a_stop_in_between_leaves_both_halves_readable(
    core_app: Flask, session: scoped_session[Session], certificate: Certificate
) -> None:
    core_app.extensions["vault"] = vault = KeyVault(TWO_KEYS)
    certificate.private_key = vault.rewrap(
        certificate.private_key or b"", private_keys.certificate_key_place(certificate)
    )
    session.commit()
    assert rewrapping.check_all() == 6
    assert rewrapping.rewrap_all() == (5, 1)


def test_an_envelope_that_does_not_open_stops_it_and_keeps_the_rest(
    core_app: Flask, certificate: Certificate, now: datetime
) -> None:
    core_app.extensions["vault"] = KeyVault({2: TWO_KEYS[2]})
    with pytest.raises(VaultError, match="master key 1"):
        rewrapping.rewrap_all()
    assert certificate.private_key is not None
    assert master_key_version(certificate.private_key) == 1

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from portal.models.deployment import CloudUpload


@pytest.fixture
def account(factory, cast):
    return factory.cloud_account(
        cast.organisation, config={"url": "http://127.0.0.1:1"}, secrets={"token": "t"}
    )


def test_a_domain_is_a_target_once_for_an_account_and_product(session, factory, account):
    factory.target(account)
    factory.target(account, product="waf")
    with pytest.raises(IntegrityError):
        factory.target(account)
    session.rollback()


def test_a_certificate_is_deployed_once_to_a_target(session, factory, cast, account):
    target, certificate = factory.target(account), factory.certificate(cast.organisation)
    factory.deployment(target, certificate)
    with pytest.raises(IntegrityError):
        factory.deployment(target, certificate)
    session.rollback()


def test_a_certificate_is_uploaded_once_to_a_site(session, factory, cast, account, now):
    certificate = factory.certificate(cast.organisation)

    def upload(site: str) -> None:
        factory.add(
            CloudUpload(
                organisation_id=cast.organisation.id,
                cloud_account_id=account.id,
                site=site,
                certificate_id=certificate.id,
                remote_id="1",
                created_at=now,
            )
        )

    upload("cn-hangzhou")
    upload("ap-southeast-1")
    with pytest.raises(IntegrityError):
        upload("cn-hangzhou")
    session.rollback()

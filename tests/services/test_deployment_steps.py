"""Redeployment on the wire: what the predecessor was on is found, served anew, and seen to be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.domain.certificate import sha256_of
from portal.domain.deployment import DeploymentState
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.extensions import db
from portal.models.certificate import Certificate
from portal.models.deployment import CloudUpload, Deployment, DeploymentTarget
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.services import deploying, deployment_steps, renewal_steps
from portal.services.driving import drive
from tests.aliyun_server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, AliyunServer
from tests.factories import Cast, Factory

DOMAIN = "shop.example.com"


@pytest.fixture
def aliyun() -> Iterator[AliyunServer]:
    with AliyunServer() as server:
        yield server


@pytest.fixture
def overrides(aliyun: AliyunServer) -> dict[str, Any]:
    return {"aliyun_endpoints": aliyun.endpoints, "propagation_seconds": 900.0}


@pytest.fixture
def target(aliyun: AliyunServer, factory: Factory, cast: Cast) -> DeploymentTarget:
    """A CDN domain of which nothing is recorded yet."""
    factory.contact(cast.organisation)
    account = factory.cloud_account(
        cast.organisation,
        "aliyun",
        {"access_key_id": ACCESS_KEY_ID, "site": "cn-hangzhou"},
        {"access_key_secret": ACCESS_KEY_SECRET},
    )
    return factory.target(account, DOMAIN, live_address=aliyun.edge_address)


@pytest.fixture
def predecessor(aliyun: AliyunServer, factory: Factory, cast: Cast) -> Certificate:
    """Uploaded here, and bound on the CDN by hand last year."""
    from tests import pki

    made = pki.make_certificate((DOMAIN,), now=factory.now)
    aliyun.add_domain(DOMAIN, made.fullchain_pem, made.key_pem)
    return factory.certificate(cast.organisation, made)


@pytest.fixture
def successor(factory: Factory, cast: Cast) -> Certificate:
    return factory.certificate(cast.organisation, names=(DOMAIN,), key_number=1)


def planned(target: DeploymentTarget, certificate: Certificate, now: datetime) -> Deployment:
    deploying.plan([target.id], certificate, None, now)
    db.session.commit()
    return db.session.scalars(select(Deployment).where(Deployment.certificate_id == certificate.id)).one()


def run(deployment: Deployment, at: datetime) -> Deployment:
    drive(deployment_steps.KIND, deployment.id, lambda: at)
    db.session.expire_all()
    return db.session.get_one(Deployment, deployment.id)


def told() -> list[NoticeKind]:
    return list(db.session.scalars(select(Notice.kind).where(Notice.recipient == "ops@example.com")))


def test_a_renewal_finds_what_was_deployed_by_hand_and_ends_when_it_is_seen_live(
    aliyun: AliyunServer, factory: Factory, target: DeploymentTarget, predecessor: Certificate, now: datetime
) -> None:
    renewal = factory.renewal(factory.hosting(predecessor), due=now)
    drive(renewal_steps.KIND, renewal.id, lambda: now)
    assert db.session.get_one(Renewal, renewal.id).state is RenewalState.DEPLOYING
    deployment = run(db.session.scalars(select(Deployment)).one(), now)
    assert deployment.state is DeploymentState.LIVE
    drive(renewal_steps.KIND, renewal.id, lambda: now)
    db.session.expire_all()
    done = db.session.get_one(Renewal, renewal.id)
    assert done.state is RenewalState.DONE
    assert done.successor is not None
    assert aliyun.bound_sha256(DOMAIN) == done.successor.sha256
    assert (aliyun.count("UploadUserCertificate"), aliyun.count("SetCdnDomainSSLCertificate")) == (1, 1)
    seen = db.session.get_one(DeploymentTarget, target.id)
    assert (seen.certificate_id, seen.served_sha256) == (done.successor_id, done.successor.sha256)
    assert told() == [NoticeKind.RENEWED]


def test_a_target_with_another_certificate_is_left_alone(
    aliyun: AliyunServer, factory: Factory, cast: Cast, target: DeploymentTarget, now: datetime
) -> None:
    from tests import pki

    chosen = pki.make_certificate((DOMAIN,), now=now, key_number=5)
    aliyun.add_domain(DOMAIN, chosen.fullchain_pem, chosen.key_pem)
    renewal = factory.renewal(factory.hosting(factory.certificate(cast.organisation)), due=now)
    drive(renewal_steps.KIND, renewal.id, lambda: now)
    deployment = run(db.session.scalars(select(Deployment)).one(), now)
    assert deployment.state is DeploymentState.LEFT_ALONE
    assert aliyun.bound_sha256(DOMAIN) == sha256_of(chosen.leaf)
    drive(renewal_steps.KIND, renewal.id, lambda: now)
    db.session.expire_all()
    assert db.session.get_one(Renewal, renewal.id).state is RenewalState.DONE
    assert told() == [NoticeKind.PLEASE_INSTALL]


def test_a_target_that_is_gone_holds_no_other_up(
    aliyun: AliyunServer, factory: Factory, target: DeploymentTarget, predecessor: Certificate, now: datetime
) -> None:
    gone = factory.target(target.cloud_account, "gone.example.com")
    predecessor.names = [DOMAIN, "gone.example.com"]
    db.session.commit()
    renewal = factory.renewal(factory.hosting(predecessor), due=now)
    drive(renewal_steps.KIND, renewal.id, lambda: now)
    by_target = {one.target_id: one for one in db.session.scalars(select(Deployment))}
    assert run(by_target[gone.id], now).error_code == "cloud_target_gone"
    assert run(by_target[target.id], now).state is DeploymentState.LIVE
    assert told() == [NoticeKind.ACTION_REQUIRED]


def test_a_certificate_goes_up_once_however_many_targets(
    aliyun: AliyunServer,
    factory: Factory,
    target: DeploymentTarget,
    predecessor: Certificate,
    successor: Certificate,
    now: datetime,
) -> None:
    first = planned(target, successor, now)
    run(first, now)
    other = factory.target(target.cloud_account, "www.example.com", live_address=aliyun.edge_address)
    deploying.plan([other.id], successor, None, now)
    db.session.commit()
    second = db.session.scalars(select(Deployment).where(Deployment.target_id == other.id)).one()
    drive(deployment_steps.KIND, second.id, lambda: now)
    assert aliyun.count("UploadUserCertificate") == 1
    assert len(db.session.scalars(select(CloudUpload)).all()) == 1


def test_a_bound_certificate_is_not_bound_again(
    aliyun: AliyunServer,
    target: DeploymentTarget,
    predecessor: Certificate,
    successor: Certificate,
    now: datetime,
) -> None:
    deployment = run(planned(target, successor, now), now)
    deployment.state, deployment.next_attempt_at = DeploymentState.UPLOADED, now
    db.session.commit()
    assert run(deployment, now).state is DeploymentState.LIVE
    assert aliyun.count("SetCdnDomainSSLCertificate") == 1


def test_an_edge_that_still_serves_the_old_one_is_waited_for_then_told_then_seen_live(
    aliyun: AliyunServer,
    target: DeploymentTarget,
    predecessor: Certificate,
    successor: Certificate,
    now: datetime,
) -> None:
    target.live_address = "127.0.0.1:9"
    db.session.commit()
    waiting = run(planned(target, successor, now), now)
    assert (waiting.state, waiting.attempts) == (DeploymentState.READ_BACK, 0)
    assert told() == []
    late = now + timedelta(minutes=16)
    missed = run(waiting, late)
    assert (missed.state, missed.error_code) == (DeploymentState.NOT_LIVE, "not_live")
    assert told() == [NoticeKind.NOT_LIVE]
    seen = db.session.get_one(DeploymentTarget, target.id)
    seen.live_address = aliyun.edge_address
    db.session.commit()
    later = late + timedelta(hours=2)
    assert run(missed, later).state is DeploymentState.LIVE
    assert told() == [NoticeKind.NOT_LIVE]


def test_refused_credentials_call_a_person_and_name_what_is_wrong(
    aliyun: AliyunServer,
    target: DeploymentTarget,
    predecessor: Certificate,
    successor: Certificate,
    now: datetime,
) -> None:
    aliyun.refuse_next("UploadUserCertificate", 403, "Forbidden.RAM")
    aliyun.refuse_next("ListUserCertificateOrder", 403, "Forbidden.RAM")
    stopped = run(planned(target, successor, now), now)
    assert (stopped.state, stopped.error_code) == (DeploymentState.PENDING, "cloud_permission")
    assert stopped.stopped_at == now
    assert told() == [NoticeKind.ACTION_REQUIRED]


def test_a_newer_certificate_supersedes_what_is_on_its_way(
    aliyun: AliyunServer,
    factory: Factory,
    cast: Cast,
    target: DeploymentTarget,
    predecessor: Certificate,
    successor: Certificate,
    now: datetime,
) -> None:
    older = planned(target, successor, now)
    newest = factory.certificate(cast.organisation, names=(DOMAIN,), key_number=3)
    newer = planned(target, newest, now)
    assert run(older, now).state is DeploymentState.SUPERSEDED
    assert run(newer, now).state is DeploymentState.LIVE
    assert aliyun.bound_sha256(DOMAIN) == newest.sha256


def test_a_certificate_without_its_key_cannot_be_deployed_and_says_so(
    factory: Factory, cast: Cast, target: DeploymentTarget, predecessor: Certificate, now: datetime
) -> None:
    public_only = factory.certificate(cast.organisation, names=(DOMAIN,), key_number=4, with_key=False)
    stopped = run(planned(target, public_only, now), now)
    assert (stopped.error_code, stopped.stopped_at) == ("no_private_key", now)

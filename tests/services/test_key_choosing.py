"""The key of coming renewals: what can be chosen, what not, and that it is heeded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.errors import DomainError
from portal.domain.keys import make_csr
from portal.domain.renewal import KeySource, RenewalState
from portal.models.history import AuditEntry
from portal.models.hosting import Hosting, Renewal
from portal.services import key_choosing
from portal.services.acting import Actor
from portal.services.key_choosing import Choice
from tests import pki


@pytest.fixture
def certificate(factory, cast):
    return factory.certificate(cast.organisation, expires_in=timedelta(days=150))


@pytest.fixture
def hosting(factory, certificate):
    return factory.hosting(certificate)


@pytest.fixture
def renewal(factory, hosting):
    return factory.renewal(hosting)


@pytest.fixture
def choose(certificate, hosting, actor, session, now):
    def made(*parts, **named) -> Hosting:
        key_choosing.choose(certificate.id, Choice(*parts, **named), actor, now)
        session.expire_all()
        return session.get_one(Hosting, hosting.id)

    return made


def refusal(choose, *parts, **named) -> str:
    with pytest.raises(DomainError) as caught:
        choose(*parts, **named)
    return caught.value.code


def test_another_type_is_handed_to_the_renewal_that_waits(choose, renewal, session):
    hosting = choose(KeySource.NEW, "rsa-4096")
    assert (hosting.key_source, hosting.key_type) == (KeySource.NEW, "rsa-4096")
    assert session.get_one(Renewal, renewal.id).key_type == "rsa-4096"
    assert choose(KeySource.NEW).key_type is None
    assert session.get_one(Renewal, renewal.id).key_type == "ec-p256"


def test_the_same_key_can_be_kept_where_it_is_here(choose, renewal):
    hosting = choose(KeySource.REUSE, "rsa-4096")
    assert (hosting.key_source, hosting.key_type) == (KeySource.REUSE, None)


def test_a_key_that_is_not_here_cannot_be_kept(certificate, choose, session):
    certificate.private_key = None
    session.commit()
    assert refusal(choose, KeySource.REUSE) == "key_reuse_without_key"


def test_a_request_of_ones_own_is_kept_tidily(certificate, choose):
    csr = make_csr(certificate.names, pki.key("ec-p384"))
    hosting = choose(KeySource.CSR, csr_pem=f"  {csr}\n\n")
    assert (hosting.key_source, hosting.csr_pem) == (KeySource.CSR, csr)
    assert choose(KeySource.NEW).csr_pem is None


def test_a_request_for_other_names_is_refused(choose):
    csr = make_csr(["evil.example.com"], pki.key())
    assert refusal(choose, KeySource.CSR, csr_pem=csr) == "csr_names"


def test_a_type_that_is_not_offered_is_refused(choose):
    assert refusal(choose, KeySource.NEW, "ec-p521") == "key_type_not_offered"


def test_a_renewal_that_stopped_for_want_of_a_request_goes_on(
    factory, certificate, hosting, choose, session, now
):
    stopped = factory.renewal(
        hosting,
        state=RenewalState.CHECKED,
        due=now + timedelta(days=1),
        stopped_at=now,
        error_code="csr_key_compromised",
    )
    same = make_csr(certificate.names, pki.key())
    assert refusal(choose, KeySource.CSR, csr_pem=same) == "csr_key_compromised"
    choose(KeySource.CSR, csr_pem=make_csr(certificate.names, pki.key("ec-p256", 9)))
    assert session.get_one(Renewal, stopped.id).next_attempt_at == now


def test_one_whose_key_is_made_is_left_alone(factory, certificate, hosting, choose, actor, session):
    begun = factory.renewal(hosting, state=RenewalState.ORDERED)
    choose(KeySource.NEW, "rsa-4096")
    assert session.get_one(Renewal, begun.id).key_type == "ec-p256"
    assert key_choosing.look(certificate.id, actor.organisation_id).is_too_late


def test_every_choice_is_audited_without_the_request(certificate, choose, actor, session):
    choose(KeySource.CSR, csr_pem=make_csr(certificate.names, pki.key()))
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor) == ("hosting.choose_key", actor.id)
    assert entry.params == {"source": "csr", "key_type": None}
    assert "BEGIN" not in repr(Choice(csr_pem="-----BEGIN"))


def test_strangers_and_what_is_not_hosted(factory, cast, certificate, hosting, actor, now):
    stranger = Actor(cast.charlie.id, cast.other_organisation.id)
    with pytest.raises(DomainError, match="certificate_not_found"):
        key_choosing.choose(certificate.id, Choice(), stranger, now)
    alone = factory.certificate(cast.organisation, names=["alone.example.com"])
    with pytest.raises(DomainError, match="certificate_not_hosted"):
        key_choosing.choose(alone.id, Choice(), actor, now)

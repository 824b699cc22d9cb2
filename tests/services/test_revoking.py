"""Revoking: who may, when it has to wait, and what a leaked key brings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.certificate import split_pem
from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.keys import make_csr
from portal.domain.notices import NoticeKind
from portal.domain.renewal import RenewalState
from portal.domain.revocation import RevocationReason, RevocationState
from portal.extensions import db
from portal.models.authority import Revocation
from portal.models.certificate import Certificate, Source
from portal.models.history import AuditEntry, HistoryEntry
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.services import ca_accounts, revoking
from portal.services.acting import Actor
from portal.services.driving import drive
from portal.services.revocation_steps import INSTALL_WITHIN, LOOK_AGAIN
from tests import pki

LEAKED, SUPERSEDED = RevocationReason.KEY_COMPROMISE, RevocationReason.SUPERSEDED


@pytest.fixture
def account(factory):
    return factory.ca_account("private")


@pytest.fixture
def certificate(factory, cast, account):
    """One that was issued here."""
    return factory.certificate(
        cast.organisation, source=Source.ISSUED, ca_account=account, expires_in=timedelta(days=150)
    )


@pytest.fixture
def hosting(factory, certificate):
    return factory.hosting(certificate)


def refusal(certificate, actor, now, reason=SUPERSEDED) -> str:
    with pytest.raises(DomainError) as caught:
        revoking.revoke(certificate.id, reason, actor, now)
    db.session.rollback()
    return caught.value.code


def run(revocation, now) -> Revocation:
    drive(revoking.KIND, revocation.id, lambda: now)
    db.session.expire_all()
    return db.session.get_one(Revocation, revocation.id)


class TestWhoMay:
    def test_a_stranger_does_not_even_find_it(self, certificate, cast, now):
        stranger = Actor(cast.charlie.id, cast.other_organisation.id)
        assert refusal(certificate, stranger, now, LEAKED) == "certificate_not_found"
        with pytest.raises(DomainError, match="certificate_not_found"):
            revoking.outlook(certificate.id, stranger.organisation_id, now)
        with pytest.raises(DomainError, match="certificate_not_found"):
            revoking.proceed(certificate.id, stranger, now)

    def test_what_was_bought_elsewhere_is_revoked_there(self, factory, cast, actor, now):
        uploaded = factory.certificate(cast.organisation)
        assert refusal(uploaded, actor, now, LEAKED) == "revoke_elsewhere"

    def test_a_leaked_key_of_an_upload_is_replaced_though(self, factory, cast, actor, session, now):
        uploaded = factory.certificate(cast.organisation)
        waiting = factory.renewal(factory.hosting(uploaded))
        assert revoking.replace(uploaded.id, actor, now).id == waiting.id
        assert session.get_one(Renewal, waiting.id).due_reason is DueReason.KEY_COMPROMISE
        stranger = Actor(cast.charlie.id, cast.other_organisation.id)
        with pytest.raises(DomainError, match="certificate_not_found"):
            revoking.replace(uploaded.id, stranger, now)

    def test_uploading_a_copy_of_anothers_gives_no_right_to_revoke_it(
        self, factory, cast, certificate, account, session, now
    ):
        made = pki.make_certificate(now=now, expires_in=timedelta(days=150))
        copy = factory.certificate(cast.other_organisation, made)
        copy.sha256, copy.serial = certificate.sha256, certificate.serial
        copy.leaf_pem, copy.chain_pem = certificate.leaf_pem, certificate.chain_pem
        session.commit()
        stranger = Actor(cast.charlie.id, cast.other_organisation.id)
        assert refusal(copy, stranger, now, LEAKED) == "revoke_elsewhere"
        # Not even if a row were made to look as if that account had issued it.
        copy.ca_account_id = account.id
        session.commit()
        assert refusal(copy, stranger, now, LEAKED) == "revoke_elsewhere"

    def test_what_is_revoked_or_expired_or_asked_for_is_refused(self, certificate, actor, session, now):
        revoking.revoke(certificate.id, SUPERSEDED, actor, now)
        assert refusal(certificate, actor, now) == "revocation_under_way"
        assert refusal(certificate, actor, certificate.not_after) == "certificate_expired"
        certificate.revoked_at = now
        session.commit()
        assert refusal(certificate, actor, now) == "certificate_revoked"


class TestHosted:
    """Rule 7: what is hosted keeps its renewal, or is replaced first."""

    def test_a_waiting_renewal_has_to_be_cancelled_first(self, factory, certificate, hosting, actor, now):
        factory.renewal(hosting)
        assert refusal(certificate, actor, now) == "cancel_renewal_first"

    def test_one_under_way_has_to_end_first(self, factory, certificate, hosting, actor, now):
        factory.renewal(hosting, state=RenewalState.VALIDATING)
        assert refusal(certificate, actor, now) == "revoke_after_renewal"

    def test_after_cancelling_it_is_revoked(self, factory, certificate, hosting, actor, now):
        factory.renewal(hosting, state=RenewalState.CANCELLED, next_attempt_at=None)
        assert revoking.revoke(certificate.id, SUPERSEDED, actor, now).state is RevocationState.REQUESTED

    def test_a_replaced_one_waits_until_its_successor_is_live(
        self, factory, certificate, hosting, actor, session, now
    ):
        renewal = factory.renewal(hosting, state=RenewalState.DEPLOYING)
        certificate.replaced_at = now
        session.commit()
        revocation = revoking.revoke(certificate.id, SUPERSEDED, actor, now)
        assert (revocation.state, revocation.renewal_id) == (RevocationState.AWAITING, renewal.id)

    def test_a_leaked_key_brings_a_new_certificate_first(
        self, factory, certificate, hosting, actor, session, now
    ):
        waiting = factory.renewal(hosting)
        revocation = revoking.revoke(certificate.id, LEAKED, actor, now)
        assert (revocation.state, revocation.renewal_id) == (RevocationState.AWAITING, waiting.id)
        renewal = session.get_one(Renewal, waiting.id)
        assert (renewal.due_reason, renewal.next_attempt_at) == (DueReason.KEY_COMPROMISE, now)
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "certificate.revoke")).one()
        assert (entry.actor, entry.params) == (actor.id, {"reason": "key_compromise"})

    def test_the_outlook_says_what_would_happen(self, factory, certificate, hosting, actor, now):
        factory.renewal(hosting)
        seen = revoking.outlook(certificate.id, actor.organisation_id, now)
        assert (seen.refusal, seen.is_replaced_first) == (None, True)
        assert seen.ordinary is not None
        assert seen.ordinary.code == "cancel_renewal_first"


class TestWaiting:
    @pytest.fixture
    def renewal(self, factory, hosting):
        return factory.renewal(hosting)

    @pytest.fixture
    def revocation(self, certificate, renewal, actor, now):
        return revoking.revoke(certificate.id, LEAKED, actor, now)

    def finish(self, renewal, session, now):
        renewal.state, renewal.finished_at, renewal.next_attempt_at = RenewalState.DONE, now, None
        session.commit()

    def test_nothing_is_asked_before_the_successor_is_live(self, revocation, now):
        seen = run(revocation, now)
        assert (seen.state, seen.next_attempt_at) == (RevocationState.AWAITING, now + LOOK_AGAIN)

    def test_without_targets_there_is_time_to_install(self, revocation, renewal, session, now):
        self.finish(renewal, session, now)
        seen = run(revocation, now)
        assert (seen.state, seen.next_attempt_at) == (RevocationState.AWAITING, now + INSTALL_WITHIN)

    def test_a_cancelled_replacement_holds_nothing_back(self, revocation, renewal, session, now):
        renewal.state, renewal.next_attempt_at = RenewalState.CANCELLED, None
        session.commit()
        assert run(revocation, now).state is not RevocationState.AWAITING

    def test_live_on_its_targets_it_goes_on(
        self, factory, revocation, renewal, certificate, cast, session, now
    ):
        target = factory.target(factory.cloud_account(cast.organisation), certificate=certificate)
        factory.deployment(target, certificate, due=None, renewal_id=renewal.id)
        self.finish(renewal, session, now)
        assert run(revocation, now).state is not RevocationState.AWAITING

    def test_who_cannot_wait_says_so(self, revocation, certificate, actor, session, now):
        run(revocation, now)
        revoking.proceed(certificate.id, actor, now)
        session.expire_all()
        assert revocation.next_attempt_at == now
        assert run(revocation, now).state is not RevocationState.AWAITING
        with pytest.raises(DomainError, match="nothing_to_try"):
            revoking.proceed(certificate.id, actor, now)


class TestAsking:
    @pytest.fixture
    def contact(self, factory, cast):
        return factory.contact(cast.organisation)

    def told(self, session) -> list[tuple[NoticeKind, str]]:
        return [(kind, who) for kind, who in session.execute(select(Notice.kind, Notice.recipient))]

    def test_the_ca_revokes_it_and_everybody_can_see(
        self, factory, cast, account, contact, actor, session, now
    ):
        certificate = issued_by(account, factory, cast.organisation, now)
        revocation = run(revoking.revoke(certificate.id, SUPERSEDED, actor, now), now)
        assert (revocation.state, revocation.revoked_at) == (RevocationState.REVOKED, now)
        assert session.get_one(Certificate, certificate.id).revoked_at == now
        history = select(HistoryEntry).where(HistoryEntry.subject_id == certificate.id)
        entry = session.scalars(history).one()
        assert (entry.event, entry.reason, entry.actor) == ("revoke", "superseded", actor.id)
        assert self.told(session) == [(NoticeKind.REVOKED, "ops@example.com")]

    def test_a_paused_ca_is_left_alone(self, certificate, account, actor, session, now):
        account.paused_at = now
        session.commit()
        revocation = run(revoking.revoke(certificate.id, SUPERSEDED, actor, now), now)
        assert (revocation.state, revocation.error_code) == (RevocationState.REQUESTED, "ca_paused")

    def test_a_ca_that_refuses_calls_people(self, cast, certificate, contact, actor, session, now):
        """The account never issued this one."""
        revocation = run(revoking.revoke(certificate.id, SUPERSEDED, actor, now), now)
        assert (revocation.error_code, revocation.stopped_at) == ("ca_refused", now)
        told = self.told(session)
        assert {kind for kind, _ in told} == {NoticeKind.ACTION_REQUIRED}
        assert {who for _, who in told} == {"ops@example.com", cast.olga.email}


def issued_by(account, factory, organisation, now) -> Certificate:
    """A certificate that this account really issued."""
    ca_accounts.ensure_registered(account)
    ca, key = ca_accounts.connect(account), pki.key()
    csr = make_csr(["shop.example.com"], key)
    url = ca.new_order(["shop.example.com"]).url
    ca.finalize(url, csr)
    chain = split_pem(ca.download(url, csr))
    made = pki.Made(chain[0], chain[1:], chain[-1], key)
    return factory.certificate(organisation, made, source=Source.ISSUED, ca_account=account)

"""Revoking as a page: what it says before, who may, what comes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.domain.due import DueReason
from portal.domain.errors import DomainError
from portal.domain.renewal import KeySource, RenewalState
from portal.domain.revocation import RevocationReason, RevocationState
from portal.models.authority import Revocation
from portal.models.certificate import Source
from portal.models.hosting import Renewal
from portal.services import revoking
from portal.services.acting import Actor

pytestmark = pytest.mark.databases("sqlite")

FOR_A_LEAK = {"reason": "1", "is_understood": "y"}
ORDINARY = {"reason": "4", "is_understood": "y"}


@pytest.fixture
def issued(factory, cast, product):
    """Issued here, hosted, with a renewal that waits."""
    certificate = factory.certificate(
        cast.organisation,
        source=Source.ISSUED,
        ca_account=product.ca_account,
        expires_in=timedelta(days=150),
    )
    factory.renewal(factory.hosting(certificate, product))
    return certificate


@pytest.fixture
def waiting(issued, session):
    return session.scalars(select(Renewal)).one()


@pytest.fixture
def acts(issued, waiting):
    return [
        (f"/certificates/{issued.id}/revoke", FOR_A_LEAK),
        (f"/certificates/{issued.id}/revoke/now", {}),
        (f"/certificates/{issued.id}/replace", {}),
        (f"/certificates/{issued.id}/schedule", {}),
        (f"/renewals/{waiting.id}/cancel", {}),
    ]


def changed(session, waiting) -> bool:
    session.expire_all()
    is_moved = waiting.due_reason is not DueReason.LIFETIME or waiting.state is not RenewalState.WAITING
    return is_moved or bool(session.scalar(select(func.count()).select_from(Revocation)))


def test_the_page_says_what_it_means(client, cast, issued):
    client.log_in(cast.alice)
    page = client.get(f"/certificates/{issued.id}/revoke")
    assert page.status_code == 200
    for path in (f"/certificates/{issued.id}/revoke", "/cancel"):
        assert path in page.text
    assert f"/certificates/{issued.id}/revoke" in client.get(f"/certificates/{issued.id}").text


def test_for_a_leaked_key_it_is_replaced_first(client, cast, issued, waiting, session):
    client.log_in(cast.alice)
    answer = client.post(f"/certificates/{issued.id}/revoke", data=FOR_A_LEAK)
    assert (answer.status_code, answer.location) == (303, f"/certificates/{issued.id}")
    session.expire_all()
    assert waiting.due_reason is DueReason.KEY_COMPROMISE
    page = client.get(f"/certificates/{issued.id}").text
    assert f"/certificates/{issued.id}/revoke/now" in page
    assert client.post(f"/certificates/{issued.id}/revoke/now").status_code == 303
    assert client.post(f"/certificates/{issued.id}/revoke", data=FOR_A_LEAK).status_code == 422


def test_any_other_reason_waits_until_the_renewal_is_cancelled(client, cast, issued, waiting, session):
    client.log_in(cast.alice)
    path = f"/certificates/{issued.id}/revoke"
    refused = client.post(path, data=ORDINARY)
    assert refused.status_code == 422
    assert not changed(session, waiting)
    assert client.post(f"/renewals/{waiting.id}/cancel").status_code == 303
    assert f"/certificates/{issued.id}/schedule" in client.get(f"/certificates/{issued.id}").text
    assert client.post(path, data=ORDINARY).status_code == 303
    assert session.scalars(select(Revocation)).one().state is RevocationState.REQUESTED


@pytest.mark.parametrize("form", [{}, {"reason": "4"}, {"reason": "3000", "is_understood": "y"}])
def test_a_form_that_is_not_filled_in_comes_back(client, cast, issued, waiting, session, form):
    client.log_in(cast.alice)
    assert client.post(f"/certificates/{issued.id}/revoke", data=form).status_code == 422
    assert not changed(session, waiting)


def test_what_was_bought_elsewhere_is_replaced_at_most(client, cast, factory, certificate, session, product):
    factory.renewal(factory.hosting(certificate, product))
    client.log_in(cast.alice)
    page = client.get(f"/certificates/{certificate.id}/revoke").text
    assert f"/certificates/{certificate.id}/replace" in page
    assert 'name="reason"' not in page
    assert client.post(f"/certificates/{certificate.id}/revoke", data=FOR_A_LEAK).status_code == 422
    assert client.post(f"/certificates/{certificate.id}/replace").status_code == 303
    assert session.scalars(select(Renewal)).one().due_reason is DueReason.KEY_COMPROMISE


@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("charlie", 404), ("olga", 404)])
def test_nobody_else_may(client, cast, issued, waiting, session, acts, who, status):
    client.log_in(getattr(cast, who))
    assert client.get(f"/certificates/{issued.id}/revoke").status_code == status
    assert {client.post(path, data=form).status_code for path, form in acts} == {status}
    assert not changed(session, waiting)


def test_somebody_logged_out_logs_in_first(client, acts, waiting, session):
    answers = [client.post(path, data=form) for path, form in acts]
    assert {(one.status_code, one.location.partition("?")[0]) for one in answers} == {(303, "/login")}
    assert not changed(session, waiting)


def test_acts_need_the_token_of_the_page(client, cast, acts, waiting, session):
    client.log_in(cast.alice)
    assert {client.post(path, data=form, csrf=False).status_code for path, form in acts} == {400}
    assert not changed(session, waiting)


def test_a_revoked_certificate_says_so(client, cast, issued, session, now):
    issued.revoked_at = now
    session.commit()
    client.log_in(cast.alice)
    page = client.get(f"/certificates/{issued.id}").text
    assert f"/certificates/{issued.id}/revoke" not in page
    assert f"{now:%Y}" in page
    with pytest.raises(DomainError, match="certificate_revoked"):
        revoking.revoke(
            issued.id, RevocationReason.SUPERSEDED, Actor(cast.alice.id, cast.organisation.id), now
        )


def test_whoever_has_a_key_of_their_own_is_told_to_change_it(client, cast, issued, waiting, session):
    waiting.hosting.key_source = KeySource.CSR
    session.commit()
    client.log_in(cast.alice)
    assert f"/certificates/{issued.id}/key-choice" in client.get(f"/certificates/{issued.id}/revoke").text

"""Setting up how names are proved: who may, what is shown and chosen, what a look finds."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.history import AuditEntry
from portal.models.validation import DomainValidation, HostingCheck
from portal.services import domain_validations
from tests.services.rehearsal import SHOP, ZONE

pytestmark = pytest.mark.databases("sqlite")
NAME = f"/domain-validation/names/{SHOP}"


@pytest.fixture
def english(cast):
    """Everybody reads English."""
    for person in (cast.alice, cast.bob, cast.charlie, cast.olga):
        person.locale = "en"
    db.session.commit()


def row(name: str = SHOP) -> DomainValidation:
    db.session.expire_all()
    return db.session.scalars(select(DomainValidation).where(DomainValidation.name == name)).one()


@pytest.mark.parametrize(
    ("who", "seen", "changed"),
    [("alice", 200, 303), ("bob", 200, 403), ("charlie", 404, 404), ("olga", 404, 404)],
)
def test_who_may(client, cast, certificate, who, seen, changed):
    client.log_in(getattr(cast, who))
    of_certificate = f"/domain-validation/certificates/{certificate.id}"
    for page in (NAME, of_certificate):
        assert client.get(page).status_code == seen
        assert client.post(f"{page}/method", data={"method": "operator"}).status_code == changed
        looked = client.post(f"{page}/check", data={"next": page}).status_code
        assert looked == changed


def test_nobody_is_asked_to_log_in(client, certificate):
    of_certificate = f"/domain-validation/certificates/{certificate.id}"
    answers = [client.get(NAME), client.get(of_certificate)]
    answers += [client.post(f"{NAME}/{act}") for act in ("method", "check")]
    assert {(one.status_code, one.location.partition("?")[0]) for one in answers} == {(303, "/login")}


def test_a_form_without_its_token_is_refused(client, cast, certificate):
    client.log_in(cast.alice)
    for act in ("method", "check"):
        assert client.post(f"{NAME}/{act}", data={"method": "operator"}, csrf=False).status_code == 400


def test_a_name_of_nobody_or_of_a_stranger_is_not_there(client, cast, certificate, theirs):
    client.log_in(cast.alice)
    for name in ("nobody.test", "secret.stranger.test", "customer.test"):
        assert client.get(f"/domain-validation/names/{name}").status_code == 404
        answer = client.post(f"/domain-validation/names/{name}/method", data={"method": "operator"})
        assert answer.status_code == 404
    assert client.get(f"/domain-validation/certificates/{theirs.id}").status_code == 404
    assert db.session.scalars(select(DomainValidation)).all() == []


def test_the_record_to_set_is_shown_exactly(client, cast, rehearsal, certificate):
    rehearsal.add_zone()
    client.log_in(cast.alice)
    text = client.get(NAME).text
    for shown in (f"_acme-challenge.{SHOP}", f"{row().delegation_label}.{ZONE}", "data-copy"):
        assert shown in text
    assert row().method is ValidationMethod.DELEGATION


def test_without_a_zone_delegation_is_greyed_with_the_reason_and_refused(client, cast, english, certificate):
    client.log_in(cast.alice)
    text = client.get(NAME).text
    assert "The operator has not set up a zone for this yet." in text
    assert 'disabled aria-describedby="why-delegation"' in text
    answer = client.post(f"{NAME}/method", data={"method": "delegation"})
    assert answer.status_code == 422
    assert "is not ready" in answer.text
    assert row().method is ValidationMethod.OPERATOR


def test_choosing_takes_one_click_and_leaves_a_trace(client, cast, session, certificate):
    client.log_in(cast.alice)
    answer = client.post(f"{NAME}/method", data={"method": "http"})
    assert (answer.status_code, answer.location) == (303, NAME)
    assert row().method is ValidationMethod.HTTP
    acts = session.scalars(select(AuditEntry.action).where(AuditEntry.subject_type == "domain_validations"))
    assert acts.all() == ["validation_method_set"]


@pytest.mark.parametrize("form", [{}, {"method": "magic"}])
def test_what_is_no_way_is_refused(client, cast, certificate, form):
    client.log_in(cast.alice)
    assert client.post(f"{NAME}/method", data=form).status_code == 422


def test_one_click_chooses_for_all_names_of_a_certificate(client, cast, rehearsal, certificate):
    rehearsal.add_zone()
    client.log_in(cast.alice)
    page = f"/domain-validation/certificates/{certificate.id}"
    assert client.post(f"{page}/method", data={"method": "http"}).location == page
    assert {row(name).method for name in certificate.names} == {ValidationMethod.HTTP}
    text = client.get(page).text
    for name in certificate.names:
        assert f"{row(name).delegation_label}.{ZONE}" in text


def test_a_wildcard_hides_http_with_the_reason_and_refuses_it(client, cast, english, factory, rehearsal):
    factory.certificate(cast.organisation, names=(f"*.{SHOP}", SHOP))
    client.log_in(cast.alice)
    text = client.get(NAME).text
    assert "CAs prove a wildcard name through DNS alone" in text
    assert "RedirectMatch" not in text
    answer = client.post(f"{NAME}/method", data={"method": "http"})
    assert answer.status_code == 422
    assert f"A wildcard like *.{SHOP} can be validated through DNS alone" in answer.text
    assert row().method is ValidationMethod.OPERATOR


def test_a_look_tells_every_finding(client, cast, english, rehearsal, certificate):
    rehearsal.delegate_shop()
    client.log_in(cast.alice)
    part = client.post(f"{NAME}/check", htmx=True)
    assert part.status_code == 200
    assert part.text.lstrip().startswith('<section class="card" id="validation-name"')
    for said in ("leads to us", "No CAA record restricts", "DNSSEC signatures", "In order"):
        assert said in part.text
    assert row().checked_at is not None


def test_a_look_without_script_gives_the_page_with_the_record_to_set(
    client, cast, english, rehearsal, certificate
):
    rehearsal.add_zone()
    client.log_in(cast.alice)
    name = "away.customer.test"
    answer = client.post(f"/domain-validation/names/{name}/check")
    assert answer.status_code == 200
    assert "<title>" in answer.text
    assert "leads to elsewhere.validation.test instead of to us" in answer.text
    assert "Blocked" in answer.text


def test_all_names_without_hosting_are_looked_at_at_once(client, cast, english, rehearsal, certificate):
    rehearsal.delegate_shop()
    client.log_in(cast.alice)
    part = client.post(f"/domain-validation/certificates/{certificate.id}/check", htmx=True).text
    assert "is not delegated to us yet" in part
    assert "In order" in part
    assert "leads to us" not in part
    assert row("none.customer.test").result_code == "delegation_missing"


def test_of_a_hosted_certificate_a_worker_looks_and_the_page_waits_for_it(
    client, cast, rehearsal, hosting, now
):
    rehearsal.delegate_shop()
    check = db.session.scalars(select(HostingCheck).where(HostingCheck.subject == "validation")).one()
    check.next_attempt_at = now.replace(year=now.year + 1)
    db.session.commit()
    client.log_in(cast.alice)
    page = f"/domain-validation/certificates/{hosting.certificate_id}"
    assert "every 2s" not in client.get(page).text
    part = client.post(f"{page}/check", htmx=True).text
    assert 'hx-trigger="every 2s"' in part
    db.session.expire_all()
    assert check.next_attempt_at < now.replace(year=now.year + 1)
    acts = db.session.scalars(select(AuditEntry.action).where(AuditEntry.subject_type == "hostings"))
    assert acts.all() == ["hosting.look_now"]


def test_a_stranger_can_neither_look_at_a_hosting_nor_learn_of_it(client, cast, hosting):
    client.log_in(cast.charlie)
    page = f"/domain-validation/certificates/{hosting.certificate_id}"
    assert client.post(f"{page}/check", htmx=True).status_code == 404


def test_a_private_ca_needs_nothing(client, cast, english, factory):
    factory.price_book()
    factory.product(ca_account=factory.ca_account("private"))
    factory.certificate(cast.organisation, names=(SHOP,))
    client.log_in(cast.alice)
    text = client.get(NAME).text
    assert "asks for no proof" in text
    assert "Use this way" not in text


def test_back_to_where_the_look_was_asked_for_and_nowhere_else(client, cast, certificate):
    client.log_in(cast.alice)
    page = f"/domain-validation/certificates/{certificate.id}"
    asked = [("/hosting/confirm?certificate=1", "/hosting/confirm?certificate=1"), ("//evil.test/", page)]
    for given, taken in asked:
        assert client.post(f"{page}/check", data={"next": given}).location == taken


def test_another_organisations_row_of_the_same_name_is_not_touched(client, cast, factory, certificate, now):
    factory.certificate(cast.other_organisation, names=(SHOP,))
    domain_validations.ensure(cast.other_organisation.id, [SHOP], now)
    client.log_in(cast.alice)
    client.post(f"{NAME}/method", data={"method": "http"})
    assert domain_validations.find(cast.other_organisation.id, SHOP).method is ValidationMethod.OPERATOR

"""DNS credentials: who may, what their provider says, what is never shown, what is still needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.types import new_id
from portal.models.validation import DnsCredential, DomainValidation
from portal.services import dns_credentials, domain_validations
from portal.services.acting import Actor
from tests.bind import KEY_NAME, KEY_SECRET, Bind, bind
from tests.browser import visitor
from tests.factories import PASSWORD
from tests.services.rehearsal import SHOP

pytestmark = pytest.mark.databases("sqlite")
PAGE = "/domain-validation/credentials"
WRONG_SECRET = "d3Jvbmctc2VjcmV0LXdyb25nLXNlY3JldC0wMTIzNDU2"


@pytest.fixture(scope="module")
def named() -> Iterator[Bind]:
    with bind("customer.test") as server:
        yield server


@pytest.fixture
def form(named) -> dict[str, str]:
    options = {**named.options("customer.test"), **named.secrets}
    return {"title": "at home", **{f"given_{name}": value for name, value in options.items()}}


@pytest.fixture
def mine(named, cast, now) -> DnsCredential:
    """Alice's credentials for her zone."""
    given = {**named.options("customer.test"), **named.secrets}
    actor = Actor(cast.alice.id, cast.organisation.id)
    return dns_credentials.add("mine", "rfc2136", given, actor, now)


@pytest.fixture
def theirs(named, cast, now) -> DnsCredential:
    """A stranger's."""
    given = {**named.options("customer.test"), **named.secrets}
    return dns_credentials.add(
        "theirs", "rfc2136", given, Actor(cast.charlie.id, cast.other_organisation.id), now
    )


@pytest.fixture
def english(cast):
    cast.alice.locale = "en"
    db.session.commit()


def stored() -> list[DnsCredential]:
    db.session.expire_all()
    return list(db.session.scalars(select(DnsCredential).order_by(DnsCredential.name)))


def row(name: str = SHOP) -> DomainValidation:
    db.session.expire_all()
    return db.session.scalars(select(DomainValidation).where(DomainValidation.name == name)).one()


@pytest.mark.parametrize(
    ("who", "codes"),
    [
        ("alice", [200, 200, 303, 303, 303]),
        ("bob", [200, 403, 403, 403, 403]),
        ("charlie", [200, 200, 303, 404, 404]),
        ("olga", [404, 404, 404, 404, 404]),
    ],
)
def test_who_may(client, cast, form, mine, who, codes):
    client.log_in(getattr(cast, who))
    answers = [
        client.get(PAGE),
        client.get(f"{PAGE}/add"),
        client.post(f"{PAGE}/add/rfc2136", data=form),
        client.post(f"{PAGE}/{mine.id}/check"),
        client.post(f"{PAGE}/{mine.id}/remove"),
    ]
    assert [one.status_code for one in answers] == codes


def test_nobody_is_asked_to_log_in(client, mine):
    answers = [client.get(PAGE), client.get(f"{PAGE}/add"), client.post(f"{PAGE}/{mine.id}/remove")]
    assert {(one.status_code, one.location.partition("?")[0]) for one in answers} == {(303, "/login")}


def test_a_form_without_its_token_is_refused(client, cast, form, mine):
    client.log_in(cast.alice)
    for path in ("add/rfc2136", f"{mine.id}/remove", f"{mine.id}/check"):
        assert client.post(f"{PAGE}/{path}", data=form, csrf=False).status_code == 400
    assert stored() == [mine]


def test_the_form_is_made_of_what_the_provider_asks_for(client, cast, english):
    client.log_in(cast.alice)
    text = client.get(f"{PAGE}/add?kind=aliyun").text
    assert 'name="given_access_key_id"' in text
    assert 'type="password" value=""' in text or 'name="given_access_key_secret"' in text
    assert "TSIG" in client.get(f"{PAGE}/add?kind=rfc2136").text
    for kind in ("sandbox", "magic"):
        assert client.get(f"{PAGE}/add?kind={kind}").status_code == 404
        assert client.post(f"{PAGE}/add/{kind}", data={"title": "x"}).status_code == 404


def test_what_the_provider_takes_is_kept_and_used_for_the_name(client, cast, certificate, form):
    client.log_in(cast.alice)
    answer = client.post(f"{PAGE}/add/rfc2136", data={**form, "name": SHOP})
    assert (answer.status_code, answer.location) == (303, f"/domain-validation/names/{SHOP}")
    (kept,) = stored()
    assert (kept.name, kept.checked_at is not None, kept.organisation_id) == (
        "at home",
        True,
        cast.organisation.id,
    )
    assert (row().method, row().dns_credential_id) == (ValidationMethod.CREDENTIALS, kept.id)
    for page in (PAGE, f"/domain-validation/names/{SHOP}"):
        assert KEY_SECRET not in client.get(page).text


def test_for_a_certificate_every_name_uses_them(client, cast, certificate, form):
    client.log_in(cast.alice)
    answer = client.post(f"{PAGE}/add/rfc2136", data={**form, "certificate": certificate.id})
    assert answer.location == f"/domain-validation/certificates/{certificate.id}"
    assert {row(name).method for name in certificate.names} == {ValidationMethod.CREDENTIALS}


def test_what_the_provider_refuses_is_not_kept_and_nothing_is_lost(client, cast, english, certificate, form):
    client.log_in(cast.alice)
    wrong = {**form, "given_key_secret": WRONG_SECRET, "name": SHOP}
    answer = client.post(f"{PAGE}/add/rfc2136", data=wrong)
    assert answer.status_code == 422
    assert "refuses changes signed with this key" in answer.text
    for kept in ("at home", form["given_server"], KEY_NAME, f'name="name" value="{SHOP}"'):
        assert kept in answer.text
    assert WRONG_SECRET not in answer.text
    assert stored() == []
    part = client.post(f"{PAGE}/add/rfc2136", data=wrong, htmx=True)
    assert part.status_code == 422
    assert "<form" not in part.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": ""}, "Please fill this in."),
        ({"given_zone": ""}, "Please fill this in."),
        ({"given_server": "192.0.2.53:53"}, "is not one that may be reached from here"),
        ({"given_server": "not an address"}, "is not"),
        ({"title": "mine"}, "called mine already"),
    ],
)
def test_what_is_wrong_is_said(client, cast, english, form, mine, change, said):
    client.log_in(cast.alice)
    answer = client.post(f"{PAGE}/add/rfc2136", data=form | change)
    assert answer.status_code in (409, 422)
    assert said in answer.text
    assert stored() == [mine]


def test_a_strangers_name_or_certificate_in_the_form_keeps_nothing(client, cast, factory, form):
    certificate = factory.certificate(cast.other_organisation, names=("secret.stranger.test",))
    client.log_in(cast.alice)
    for about in ({"name": "secret.stranger.test"}, {"certificate": certificate.id}):
        client.post(f"{PAGE}/add/rfc2136", data=form | about)
    assert stored() == []
    assert db.session.scalars(select(DomainValidation)).all() == []


def test_a_strangers_credentials_in_the_form_do_not_work(client, cast, certificate, theirs):
    client.log_in(cast.alice)
    for given in (theirs.id, theirs.name, "", new_id()):
        data = {"method": "credentials", "credential": given}
        assert client.post(f"/domain-validation/names/{SHOP}/method", data=data).status_code == 404
    assert row().method is ValidationMethod.OPERATOR
    assert theirs.name not in client.get(PAGE).text
    assert theirs.id not in client.get(f"/domain-validation/names/{SHOP}").text


def test_choosing_existing_ones_takes_one_click(client, cast, certificate, mine):
    client.log_in(cast.alice)
    data = {"method": "credentials", "credential": mine.id}
    assert client.post(f"/domain-validation/names/{SHOP}/method", data=data).status_code == 303
    assert row().dns_credential_id == mine.id


def test_what_a_name_needs_is_not_removed_and_the_name_is_said(client, cast, english, mine, now):
    actor = Actor(cast.alice.id, cast.organisation.id)
    organisation_id = cast.organisation.id
    domain_validations.set_method(organisation_id, SHOP, ValidationMethod.CREDENTIALS, actor, now, mine.id)
    client.log_in(cast.alice)
    answer = client.post(f"{PAGE}/{mine.id}/remove")
    assert answer.status_code == 409
    assert f"still needed for {SHOP}" in answer.text
    domain_validations.set_method(organisation_id, SHOP, ValidationMethod.OPERATOR, actor, now)
    assert client.post(f"{PAGE}/{mine.id}/remove").status_code == 303
    assert stored() == []


def test_a_check_tells_what_has_become_of_them(client, cast, english, mine, named):
    client.log_in(cast.alice)
    assert client.post(f"{PAGE}/{mine.id}/check").status_code == 303
    assert "works" in client.get(PAGE).text
    mine.config = {**mine.config, "key_name": "another-key"}
    db.session.commit()
    answer = client.post(f"{PAGE}/{mine.id}/check")
    assert answer.status_code == 422
    assert "refuses changes signed with this key" in answer.text
    assert stored()[0].error_code == "dns_refused"


def test_in_a_browser_a_refusal_keeps_even_the_secret(live_server, chromium, cast, english, form):
    with visitor(chromium, "en-US") as one:
        one.expected = {422}
        page = one.page
        page.goto(f"{live_server}/login?next={PAGE}/add?kind=rfc2136")
        page.fill("input[name=email]", cast.alice.email)
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url("**/credentials/add**")
        for name, value in (form | {"given_key_secret": WRONG_SECRET}).items():
            page.locator(f"[name={name}]").fill(value)
        page.get_by_role("button", name="Try out and keep").click()
        page.get_by_text("refuses changes signed with this key").wait_for()
        assert page.locator("[name=given_key_secret]").input_value() == WRONG_SECRET
        one.axe()
        page.locator("[name=given_key_secret]").fill(KEY_SECRET)
        page.get_by_role("button", name="Try out and keep").click()
        page.wait_for_url(f"**{PAGE}")
        page.get_by_text("works", exact=True).wait_for()

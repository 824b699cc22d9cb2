"""The list of names: hosted ones first, searched, in pages, and nobody else's."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from portal.extensions import db
from portal.services import validation_pages
from portal.services.validation_pages import Place
from tests.services.rehearsal import SHOP

pytestmark = pytest.mark.databases("sqlite")
PAGE = "/domain-validation"


@pytest.fixture
def english(cast):
    cast.alice.locale = cast.bob.locale = "en"
    db.session.commit()


def shown(answer) -> list[str]:
    return re.findall(r"/domain-validation/names/([^\"]+)\"", answer.text)


@pytest.mark.parametrize(("who", "code"), [("alice", 200), ("bob", 200), ("charlie", 200), ("olga", 404)])
def test_who_sees_what(client, cast, certificate, who, code):
    client.log_in(getattr(cast, who))
    answer = client.get(PAGE)
    assert answer.status_code == code
    assert (SHOP in shown(answer)) == (who in ("alice", "bob"))


def test_nobody_is_asked_to_log_in(client):
    assert client.get(PAGE).location.partition("?")[0] == "/login"


def test_hosted_names_come_first_with_their_next_look(client, cast, english, factory, hosting, now):
    soon = factory.certificate(cast.organisation, names=("soon.example.com",), expires_in=timedelta(days=2))
    client.log_in(cast.alice)
    answer = client.get(PAGE)
    assert shown(answer)[:3] == ["shop.customer.test", "away.customer.test", "none.customer.test"]
    assert shown(answer)[3:] == [soon.name]
    assert "Not looked at yet" in answer.text
    assert f'datetime="{now.isoformat()}"' in answer.text


def test_a_look_is_told_with_its_finding(client, cast, english, rehearsal, certificate):
    rehearsal.delegate_shop()
    rehearsal.run(*certificate.names)
    client.log_in(cast.alice)
    text = client.get(PAGE).text
    assert "leads to elsewhere.validation.test instead of to us" in text
    for state in ("Blocked", "In order"):
        assert state in text


def test_search_finds_names_and_htmx_gets_the_list_alone(client, cast, factory, certificate):
    factory.certificate(cast.organisation, names=("other.example.com",))
    client.log_in(cast.alice)
    part = client.get(f"{PAGE}?q=AWAY", htmx=True)
    assert part.text.lstrip().startswith('<div id="validation-list"')
    assert shown(part) == ["away.customer.test"]
    assert shown(client.get(f"{PAGE}?q=%25")) == []


def test_a_name_with_and_without_its_wildcard_is_one(client, cast, factory, rehearsal):
    factory.certificate(cast.organisation, names=("*.wide.test", "wide.test"))
    client.log_in(cast.alice)
    answer = client.get(PAGE)
    assert shown(answer) == ["wide.test"]
    assert "*.wide.test, wide.test" in answer.text


def test_expired_replaced_and_revoked_certificates_are_left_out(client, cast, factory, rehearsal, now):
    factory.certificate(cast.organisation, names=("old.test",), expires_in=-timedelta(days=1))
    factory.certificate(cast.organisation, names=("new.test",)).replaced_at = now
    factory.certificate(cast.organisation, names=("bad.test",)).revoked_at = now
    db.session.commit()
    client.log_in(cast.alice)
    assert shown(client.get(PAGE)) == []


@pytest.mark.parametrize(
    ("hosted", "others", "expected"), [(3, 24, [(3, 22), (0, 2)]), (26, 1, [(25, 0), (1, 1)])]
)
def test_pages_go_on_from_hosted_ones_to_the_others(cast, factory, now, hosted, others, expected):
    product = factory.product()
    made = [factory.certificate(cast.organisation) for _ in range(hosted + others)]
    for one in made[others:]:
        factory.hosting(one, product)
    pages, seen, place = [], set(), None
    while place is not None or not pages:
        found = validation_pages.list_certificates(cast.organisation.id, "", place, now)
        seen |= {one.certificate.id for one in found.rows}
        count = sum(one.hosting is not None for one in found.rows)
        pages.append((count, len(found.rows) - count))
        place = Place.parse(str(found.next))
        assert place == found.next
    assert pages == expected
    assert seen == {one.id for one in made}


@pytest.mark.parametrize("text", [None, "", "hosted", "else.2026-01-01T00:00:00Z~1", "hosted.yesterday~1"])
def test_a_broken_link_shows_the_first_page(text):
    assert Place.parse(text) is None


def test_a_page_costs_the_same_however_many_certificates(client, cast, factory, certificate):
    client.log_in(cast.alice)

    def count() -> int:
        sent: list[int] = []
        note = lambda *_args: sent.append(1)  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", note)
        try:
            assert client.get(PAGE).status_code == 200
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        return len(sent)

    before = count()
    for number in range(8):
        factory.certificate(cast.organisation, names=tuple(f"a{number}{each}.test" for each in range(3)))
    assert count() == before


def test_without_certificates_there_is_one_thing_to_do(client, cast):
    client.log_in(cast.alice)
    assert client.get(PAGE).text.count('href="/certificates/upload"') == 1

"""The zone for delegations, tried by the operator, a customer, a teammate, a stranger and nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.history import AuditEntry
from portal.models.types import new_id
from portal.models.validation import DomainValidation
from portal.services import delegation
from tests.bind import KEY_SECRET, Bind, bind
from tests.browser import visitor
from tests.factories import PASSWORD

pytestmark = pytest.mark.databases("sqlite")
PAGE, ZONE = "/operator/delegation", "svc.test"


@pytest.fixture(scope="module")
def named() -> Iterator[Bind]:
    with bind(ZONE) as server:
        yield server


@pytest.fixture
def overrides(named: Bind) -> dict[str, Any]:
    return {"name_server_port": named.port}


@pytest.fixture
def zone(app, named, cast, now):
    """The zone, set up and not tried out."""
    cast.olga.locale = "en"
    given = {**named.options(ZONE), **named.secrets}
    return delegation.set_up(ZONE, "rfc2136", given, named.address, "cli", now)


def test_the_operator_sees_how_it_stands_and_no_secret(client, cast, factory, zone, now):
    for name, severity in (("a.test", None), ("b.test", "blocking")):
        factory.add(
            DomainValidation(
                id=new_id(),
                organisation_id=cast.organisation.id,
                name=name,
                method=ValidationMethod.DELEGATION,
                delegation_label=new_id(),
                result_severity=severity,
                created_at=now,
            )
        )
    client.log_in(cast.olga)
    text = client.get(PAGE).text
    for word in (ZONE, "not tried out", "RFC 2136", "would be refused today: 1"):
        assert word in text, word
    assert KEY_SECRET not in text


def test_a_trial_makes_it_offered_and_is_audited(client, cast, zone):
    client.log_in(cast.olga)
    answer = client.post(f"{PAGE}/probe")
    assert (answer.status_code, answer.location) == (303, PAGE)
    db.session.expire_all()
    assert zone.verified_at is not None
    acts = db.session.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == zone.id))
    assert set(acts) == {"delegation_zone.set", "delegation_zone.probe"}
    assert "in use" in client.get(PAGE).text


def test_a_trial_that_fails_says_why(client, cast, zone):
    zone.config = {**zone.config, "key_name": "another-key"}
    db.session.commit()
    client.log_in(cast.olga)
    answer = client.post(f"{PAGE}/probe")
    assert answer.status_code == 422
    assert "The trial failed" in answer.text
    assert "not tried out" in answer.text


def test_without_a_zone_the_way_to_one_is_told(client, cast):
    client.log_in(cast.olga)
    assert "portal delegation set" in client.get(PAGE).text
    assert client.post(f"{PAGE}/probe").status_code == 422


@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_for_everybody_else_it_does_not_exist(client, cast, zone, who):
    client.log_in(getattr(cast, who))
    assert client.get(PAGE).status_code == 404
    assert client.post(f"{PAGE}/probe").status_code == 404


def test_nobody_is_asked_to_log_in_and_tokens_are_asked_for(client, cast, zone):
    assert client.get(PAGE).location.partition("?")[0] == "/login"
    client.log_in(cast.olga)
    assert client.post(f"{PAGE}/probe", csrf=False).status_code == 400


@pytest.mark.parametrize(("language", "scheme"), [("zh-CN", "light"), ("en-US", "dark")])
def test_it_reads_well_in_a_browser(live_server, chromium, cast, zone, language, scheme):
    with visitor(chromium, language, color_scheme=scheme) as one:
        page = one.page
        page.goto(f"{live_server}/login?next={PAGE}")
        page.fill("input[name=email]", cast.olga.email)
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url(f"{live_server}{PAGE}")
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 900})
            one.axe(f"zone, {width}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width

"""How each name is proved: rows made once, methods chosen by their owner, delegation only where it works."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from flask import current_app
from sqlalchemy import func, select

from portal.domain.errors import DomainError
from portal.domain.validation import ValidationMethod
from portal.extensions import db
from portal.models.history import AuditEntry
from portal.models.validation import DomainValidation
from portal.services import delegation, domain_validations
from portal.services.acting import Actor
from tests.bind import Bind, bind
from tests.factories import Cast
from tests.services.validations import SERVICE_ZONE, ZONES, credential, options_of, service_zone

NAME = "shop.example.com"


@pytest.fixture(scope="module")
def named() -> Iterator[Bind]:
    with bind(*ZONES) as server:
        yield server


@pytest.fixture
def overrides(named: Bind) -> dict[str, Any]:
    return {"name_server_port": named.port, "step_timeout": 3.0}


def ensure(actor: Actor, now: datetime, *names: str) -> list[DomainValidation]:
    return domain_validations.ensure(actor.organisation_id, names, now)


def choose(
    actor: Actor, method: ValidationMethod, now: datetime, name: str = NAME, **more: Any
) -> DomainValidation:
    return domain_validations.set_method(actor.organisation_id, name, method, actor, now, **more)


def code_of(call: Any) -> str:
    with pytest.raises(DomainError) as caught:
        call()
    return str(caught.value.code)


def test_rows_are_made_once_for_names_without_their_wildcard_label(actor: Actor, now: datetime) -> None:
    made = ensure(actor, now, "*.example.com", NAME, "example.com", NAME.upper())
    assert [row.name for row in made] == ["example.com", NAME]
    assert [row.id for row in ensure(actor, now, NAME, "*.example.com")] == [made[1].id, made[0].id]


def test_labels_are_random_and_each_ones_own(actor: Actor, cast: Cast, now: datetime) -> None:
    (mine,) = ensure(actor, now, NAME)
    (theirs,) = domain_validations.ensure(cast.other_organisation.id, [NAME], now)
    assert mine.delegation_label != theirs.delegation_label
    assert len(mine.delegation_label) == 32
    assert domain_validations.list_for(cast.other_organisation.id, [NAME]) == [theirs]
    assert domain_validations.find(cast.other_organisation.id, "never.example.com") is None


def test_the_first_method_is_delegation_where_it_works_else_the_operators(
    actor: Actor, named: Bind, now: datetime
) -> None:
    assert ensure(actor, now, "one.example.com")[0].method is ValidationMethod.OPERATOR
    delegation.set_up(SERVICE_ZONE, "rfc2136", options_of(named, SERVICE_ZONE), named.address, "cli", now)
    assert ensure(actor, now, "two.example.com")[0].method is ValidationMethod.OPERATOR
    service_zone(named, now)
    assert ensure(actor, now, "three.example.com")[0].method is ValidationMethod.DELEGATION
    assert ensure(actor, now, "one.example.com")[0].method is ValidationMethod.OPERATOR


def test_a_delegation_has_no_target_before_the_zone_is_tried_out(
    actor: Actor, named: Bind, now: datetime
) -> None:
    (row,) = ensure(actor, now, NAME)
    delegation.set_up(SERVICE_ZONE, "rfc2136", options_of(named, SERVICE_ZONE), named.address, "cli", now)
    assert domain_validations.delegation_target(row) is None
    assert code_of(lambda: choose(actor, ValidationMethod.DELEGATION, now)) == "delegation_zone_unready"
    service_zone(named, now)
    assert domain_validations.delegation_target(row) == f"{row.delegation_label}.{SERVICE_ZONE}"
    assert choose(actor, ValidationMethod.DELEGATION, now).method is ValidationMethod.DELEGATION


def test_choosing_a_method_forgets_what_was_found_by_the_one_before(actor: Actor, now: datetime) -> None:
    (row,) = ensure(actor, now, NAME)
    row.checked_at, row.result_code, row.result_severity, row.result_params = now, "x", "warning", {"a": "b"}
    db.session.commit()
    choose(actor, ValidationMethod.HTTP, now)
    db.session.expire_all()
    assert (row.method, row.checked_at, row.result_code) == (ValidationMethod.HTTP, None, None)
    assert (row.result_severity, row.result_params) == (None, None)
    entry = db.session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor) == ("validation_method_set", actor.id)
    assert entry.params == {"name": NAME, "method": "http"}


def test_credentials_have_to_be_the_organisations_own(
    actor: Actor, cast: Cast, named: Bind, now: datetime
) -> None:
    stranger = Actor(cast.charlie.id, cast.other_organisation.id)
    theirs = credential(named, stranger, now).id
    method = ValidationMethod.CREDENTIALS
    for wrong in (theirs, None, "never"):
        failed = lambda wrong=wrong: choose(actor, method, now, dns_credential_id=wrong)  # noqa: E731
        assert code_of(failed) == "dns_credential_not_found"
    mine = credential(named, actor, now).id
    assert choose(actor, method, now, dns_credential_id=mine).dns_credential_id == mine
    assert choose(actor, ValidationMethod.OPERATOR, now).dns_credential_id is None


def test_another_organisations_names_are_not_ours_to_choose_for(
    actor: Actor, cast: Cast, now: datetime
) -> None:
    theirs = cast.other_organisation.id
    call = lambda: domain_validations.set_method(theirs, NAME, ValidationMethod.HTTP, actor, now)  # noqa: E731
    assert code_of(call) == "forbidden"
    assert domain_validations.list_for(theirs, [NAME]) == []


def test_http_is_refused_for_a_wildcard(actor: Actor, now: datetime) -> None:
    assert code_of(lambda: choose(actor, ValidationMethod.HTTP, now, f"*.{NAME}")) == "wildcard_needs_dns"


def test_many_at_once_make_one_row(actor: Actor, now: datetime) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    found: list[str] = []

    def make() -> None:
        with app.app_context():
            found.extend(row.id for row in ensure(actor, now, NAME))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert db.session.scalar(select(func.count()).select_from(DomainValidation)) == 1

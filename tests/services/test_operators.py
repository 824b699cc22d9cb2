"""Operators, and the set-up of the first one."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.domain.errors import DomainError
from portal.models.history import AuditEntry
from portal.services import operators
from tests.factories import PASSWORD

pytestmark = pytest.mark.databases("sqlite")

ORIGIN = {"locale": "en", "timezone": "Europe/Berlin", "ip": "203.0.113.7"}


def test_an_operator_can_log_in_at_once_and_is_audited(session, now):
    user = operators.create(session, "Op@Example.com", PASSWORD, now)
    assert (user.email, user.is_operator, user.email_confirmed_at) == ("op@example.com", True, now)
    assert session.scalar(select(AuditEntry.action)) == "operator.create"


def test_an_address_that_is_taken_makes_no_operator(session, factory, now):
    customer = factory.user()
    with pytest.raises(DomainError) as refusal:
        operators.create(session, customer.email, PASSWORD, now)
    assert refusal.value.code == "operator_exists"
    assert not operators.has_operator(session)


def test_the_code_is_made_once_for_this_user_alone_and_works_once(session, now):
    code = operators.set_up_code()
    assert operators.set_up_code() == code
    assert operators.set_up_file().stat().st_mode & 0o777 == 0o600
    operators.set_up(session, code=f" {code}\n", email="op@example.com", password=PASSWORD, now=now, **ORIGIN)
    assert not operators.set_up_file().exists()
    with pytest.raises(DomainError) as refusal:
        operators.set_up(session, code=code, email="two@example.com", password=PASSWORD, now=now, **ORIGIN)
    assert refusal.value.code == "set_up_done"


def test_a_wrong_code_sets_nothing_up(session, now):
    with pytest.raises(DomainError) as refusal:
        operators.set_up(
            session, code="guéssed", email="op@example.com", password=PASSWORD, now=now, **ORIGIN
        )
    assert refusal.value.code == "set_up_code_wrong"
    assert not operators.has_operator(session)


def test_a_refused_password_leaves_the_code_for_another_try(session, now):
    code = operators.set_up_code()
    with pytest.raises(DomainError):
        operators.set_up(session, code=code, email="op@example.com", password="short", now=now, **ORIGIN)
    assert operators.set_up_code() == code

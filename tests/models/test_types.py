from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from portal.domain.hosting import HostingState
from portal.models.account import Role
from portal.models.hosting import Hosting
from portal.models.types import new_id


def test_ids_are_32_hex_digits_and_never_the_same():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)


def test_an_enum_is_stored_as_its_value_and_read_as_itself(session, factory, cast):
    assert session.scalar(text("SELECT role FROM memberships ORDER BY role LIMIT 1")) == "owner"
    assert {one.role for one in cast.alice.memberships} == {Role.OWNER}


def test_a_word_that_is_no_member_is_refused(session, factory, cast):
    certificate = factory.certificate(cast.organisation)
    product = factory.product(ca_account=factory.ca_account(secrets={}))
    with pytest.raises(StatementError, match="'asleep' is not a valid HostingState"):
        factory.hosting(certificate, product, state="asleep")
    session.rollback()
    assert session.query(Hosting).filter(Hosting.state == HostingState.HOSTED).count() == 0

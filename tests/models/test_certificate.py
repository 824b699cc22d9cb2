from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from portal.domain.spec import DomainType, Grade, Spec, ValidationType
from tests.pki import make_certificate


def test_a_confirmed_specification_is_whole(factory, cast):
    row = factory.certificate(cast.organisation, names=["*.example.com"])
    assert row.spec == Spec(DomainType.WILDCARD, ValidationType.DV, "perennial", Grade.BASIC)


@pytest.mark.parametrize("part", ["validation_type", "brand", "grade"])
def test_a_specification_with_a_part_unconfirmed_is_none(factory, cast, part):
    assert factory.certificate(cast.organisation, **{part: None}).spec is None


def test_the_full_chain_begins_with_the_leaf(factory, cast):
    made = make_certificate()
    assert factory.certificate(cast.organisation, made).fullchain_pem == made.fullchain_pem


def test_one_organisation_holds_a_certificate_once(session, factory, cast):
    made = make_certificate()
    factory.certificate(cast.organisation, made)
    factory.certificate(cast.other_organisation, made)
    with pytest.raises(IntegrityError):
        factory.certificate(cast.organisation, made)
    session.rollback()


def test_names_come_back_as_they_were(session, factory, cast):
    row = factory.certificate(cast.organisation, names=["a.example.com", "b.example.com"])
    session.expire_all()
    assert row.names == ["a.example.com", "b.example.com"]


def test_a_row_prints_its_id_alone(factory, cast):
    row = factory.certificate(cast.organisation, expires_in=timedelta(days=3))
    assert repr(row) == f"<Certificate ('{row.id}',)>"

"""Rows for tests, built straight through the models, committed at once so that every process sees them."""

from __future__ import annotations

from dataclasses import dataclass

from portal.models.account import Organisation, Role, User
from tests.rows.certificates import CertificateMaker
from tests.rows.clouds import CloudMaker
from tests.rows.orders import OrderMaker
from tests.rows.people import PASSWORD, PeopleMaker

__all__ = ["PASSWORD", "Cast", "Factory"]


@dataclass(frozen=True)
class Cast:
    """Who tries every view: owner, teammate (a viewer), stranger, operator; nobody has no row."""

    organisation: Organisation
    alice: User
    bob: User
    other_organisation: Organisation
    charlie: User
    olga: User


class Factory(PeopleMaker, CertificateMaker, OrderMaker, CloudMaker):
    """Makes rows; whatever a row needs and is not given is made too."""

    def cast(self) -> Cast:
        organisation, other = self.organisation("Acme"), self.organisation("Other")
        return Cast(
            organisation,
            self.member(organisation, Role.OWNER, name="alice"),
            self.member(organisation, Role.VIEWER, name="bob"),
            other,
            self.member(other, Role.OWNER, name="charlie"),
            self.user("olga", is_operator=True),
        )

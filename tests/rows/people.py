"""People and organisations."""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher

from portal.models.account import Contact, Membership, Organisation, Role, User
from portal.models.types import new_id
from tests.rows.base import Maker

PASSWORD = "correct horse battery staple"
#: Weak on purpose: the real cost would be most of the time of the tests.
PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


class PeopleMaker(Maker):
    def organisation(self, name: str | None = None) -> Organisation:
        return self.add(
            Organisation(id=new_id(), name=name or f"Organisation {self.number()}", created_at=self.now)
        )

    def user(
        self,
        name: str | None = None,
        *,
        is_operator: bool = False,
        is_confirmed: bool = True,
        locale: str = "zh_Hans",
        timezone: str = "Asia/Shanghai",
    ) -> User:
        name = name or f"user{self.number()}"
        return self.add(
            User(
                id=new_id(),
                email=f"{name}@example.com",
                password_hash=PASSWORD_HASH,
                locale=locale,
                timezone=timezone,
                is_operator=is_operator,
                email_confirmed_at=self.now if is_confirmed else None,
                created_at=self.now,
            )
        )

    def membership(self, organisation: Organisation, user: User, role: Role = Role.OWNER) -> Membership:
        return self.add(
            Membership(
                id=new_id(), organisation_id=organisation.id, user_id=user.id, role=role, created_at=self.now
            )
        )

    def member(self, organisation: Organisation, role: Role = Role.OWNER, **user: Any) -> User:
        """A new user with that role in the organisation."""
        person = self.user(**user)
        self.membership(organisation, person, role)
        return person

    def contact(
        self, organisation: Organisation, email: str = "ops@example.com", locale: str = "zh_Hans"
    ) -> Contact:
        return self.add(
            Contact(
                id=new_id(),
                organisation_id=organisation.id,
                name="运维组",
                email=email,
                locale=locale,
                timezone="Asia/Shanghai",
                created_at=self.now,
            )
        )

"""Rows for tests, built straight through the models, committed at once so that every process sees them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from argon2 import PasswordHasher
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.ca import registry as ca_registry
from portal.adapters.key_vault import KeyVault, Place
from portal.domain.certificate import PrivateKey, read_facts
from portal.domain.deployment import DeploymentState
from portal.domain.hosting import HostingState
from portal.domain.order import OPEN_FOR, OrderKind, OrderState
from portal.domain.pricing import FIRST_HOSTING_FEE, Item
from portal.domain.renewal import RenewalState, due_at
from portal.domain.spec import DomainType, Grade, ValidationType, domain_type_of
from portal.domain.term import end_for_existing
from portal.models.account import Contact, Membership, Organisation, Role, User
from portal.models.catalogue import CaAccount, PriceBook, Product
from portal.models.certificate import Certificate, Source
from portal.models.deployment import CloudAccount, Deployment, DeploymentTarget
from portal.models.hosting import Hosting, Renewal
from portal.models.order import Order, OrderLine
from portal.models.types import new_id
from tests import pki

PASSWORD = "correct horse battery staple"
#: Weak on purpose: the real cost would be most of the time of the tests.
PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

Row = TypeVar("Row")


@dataclass(frozen=True)
class Cast:
    """Who tries every view: owner, teammate (a viewer), stranger, operator; nobody has no row."""

    organisation: Organisation
    alice: User
    bob: User
    other_organisation: Organisation
    charlie: User
    olga: User


class Factory:
    """Makes rows; whatever a row needs and is not given is made too. `now` is the moment they were made."""

    def __init__(self, session: scoped_session[Session] | Session, vault: KeyVault, now: datetime) -> None:
        self.session = session
        self.vault = vault
        self.now = now
        self._numbers = itertools.count(1)

    def add(self, row: Row) -> Row:
        self.session.add(row)
        self.session.commit()
        self.session.expire_all()
        return row

    def number(self) -> int:
        return next(self._numbers)

    # People

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

    # What is sold

    def price_book(self, hosting_fee_fen: int = FIRST_HOSTING_FEE.fen) -> PriceBook:
        """The newest edition if there is one."""
        newest = self.session.scalar(select(PriceBook).order_by(PriceBook.edition.desc()).limit(1))
        return newest or self.add(
            PriceBook(
                edition=1,
                hosting_fee_fen=hosting_fee_fen,
                currency="CNY",
                created_at=self.now,
                created_by="test",
            )
        )

    def ca_account(
        self,
        name: str | None = None,
        kind: str = "private",
        config: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> CaAccount:
        """An account with the kind's default settings, `config` over them. Its secrets: the kind's own, or these."""
        defaults = {one.name: one.default for one in ca_registry.KINDS[kind].fields if not one.is_secret}
        settings = {**defaults, **(config or {})}
        clear = ca_registry.make_secrets(kind, settings) if secrets is None else secrets
        row = new_id()
        return self.add(
            CaAccount(
                id=row,
                name=name or f"ca-{self.number()}",
                kind=kind,
                config=settings,
                secrets=self.seal_json(clear, Place("", "ca_accounts", row, "secrets")),
                created_at=self.now,
            )
        )

    def product(
        self,
        code: str | None = None,
        *,
        ca_account: CaAccount | None = None,
        domain_type: DomainType = DomainType.SINGLE,
        validation_type: ValidationType = ValidationType.DV,
        brand: str = "perennial",
        grade: Grade = Grade.BASIC,
        price_fen: int = 19_900,
        hosting_window_days: int | None = None,
    ) -> Product:
        account = ca_account or self.ca_account()
        return self.add(
            Product(
                id=new_id(),
                code=code or f"{brand}-{validation_type}-{domain_type}-{self.number()}",
                title=f"{brand} {validation_type} {domain_type}",
                domain_type=domain_type,
                validation_type=validation_type,
                brand=brand,
                grade=grade,
                price_fen=price_fen,
                currency="CNY",
                ca_account_id=account.id,
                hosting_window_days=hosting_window_days,
                is_on_sale=True,
            )
        )

    # Certificates

    def certificate(
        self,
        organisation: Organisation,
        made: pki.Made | None = None,
        *,
        source: Source = Source.UPLOADED,
        with_key: bool = True,
        validation_type: ValidationType | None = ValidationType.DV,
        brand: str | None = "perennial",
        grade: Grade | None = Grade.BASIC,
        predecessor: Certificate | None = None,
        **making: Any,
    ) -> Certificate:
        """An uploaded certificate with a confirmed specification; `making` goes to pki.make_certificate."""
        made = made or pki.make_certificate(**{"now": self.now, **making})
        facts = read_facts(made.leaf)
        row = new_id()
        place = Place(organisation.id, "certificates", row, "private_key")
        return self.add(
            Certificate(
                id=row,
                organisation_id=organisation.id,
                source=source,
                name=facts.names[0],
                names=list(facts.names),
                names_text=" ".join(facts.names),
                domain_type=domain_type_of(facts.names),
                validation_type=validation_type,
                brand=brand,
                grade=grade,
                issuer=facts.issuer,
                serial=facts.serial,
                sha256=facts.sha256,
                key_type=facts.key_type,
                not_before=facts.not_before,
                not_after=facts.not_after,
                leaf_pem=made.leaf_pem,
                chain_pem=made.chain_pem,
                private_key=self.seal_key(made.key, place) if with_key else None,
                has_client_auth=facts.has_client_auth,
                predecessor_id=predecessor.id if predecessor else None,
                created_at=self.now,
            )
        )

    def seal_key(self, key: PrivateKey, place: Place) -> bytes:
        """The key as it is stored: an envelope of its PKCS#8 DER."""
        return self.vault.seal(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), place)

    def seal_json(self, value: Mapping[str, str], place: Place) -> bytes:
        return self.vault.seal(json.dumps(dict(value)).encode(), place)

    # Orders, hostings, renewals

    def order(
        self,
        organisation: Organisation,
        user: User,
        certificates: Sequence[Certificate],
        product: Product | None = None,
        state: OrderState = OrderState.FULFILLED,
    ) -> Order:
        """An order for hosting existing certificates: one certificate and one year of hosting for each."""
        product = product or self.product()
        book = self.price_book()
        prices = {Item.CERTIFICATE: product.price_fen, Item.HOSTING: book.hosting_fee_fen}
        lines = [
            OrderLine(
                id=new_id(),
                position=position,
                item=item,
                certificate_id=certificate.id,
                open_certificate_id=certificate.id if state is OrderState.OPEN else None,
                product_id=product.id,
                unit_fen=prices[item],
                quantity=1,
                total_fen=prices[item],
            )
            for position, (certificate, item) in enumerate(itertools.product(certificates, Item))
        ]
        is_paid = state in {OrderState.PAID, OrderState.FULFILLED}
        return self.add(
            Order(
                id=new_id(),
                number=f"T{self.number():08d}",
                organisation_id=organisation.id,
                created_by_id=user.id,
                kind=OrderKind.EXISTING,
                state=state,
                price_book_edition=book.edition,
                total_fen=sum(line.total_fen for line in lines),
                currency="CNY",
                created_at=self.now,
                expires_at=self.now + OPEN_FOR,
                paid_at=self.now if is_paid else None,
                next_attempt_at={OrderState.OPEN: self.now + OPEN_FOR, OrderState.PAID: self.now}.get(state),
                lines=lines,
            )
        )

    def hosting(
        self,
        certificate: Certificate,
        product: Product | None = None,
        *,
        state: HostingState = HostingState.HOSTED,
        coverage_ends_at: datetime | None = None,
    ) -> Hosting:
        """A hosting without an order; see `renewal` for the row beneath it."""
        product = product or self.product(domain_type=certificate.domain_type)
        return self.add(
            Hosting(
                id=new_id(),
                organisation_id=certificate.organisation_id,
                certificate_id=certificate.id,
                product_id=product.id,
                state=state,
                coverage_ends_at=coverage_ends_at or end_for_existing(certificate.not_after),
                created_at=self.now,
            )
        )

    def renewal(
        self,
        hosting: Hosting,
        *,
        state: RenewalState = RenewalState.WAITING,
        due: datetime | None = None,
        **columns: Any,
    ) -> Renewal:
        """A renewal of the hosted certificate, due by the rule unless said otherwise."""
        certificate = hosting.certificate
        falls_due = due or due_at(certificate.not_before, certificate.not_after, 0.0)
        values: dict[str, Any] = {
            "sequence": len(hosting.renewals) + 1,
            "names": list(certificate.names),
            "key_type": certificate.key_type,
            "next_attempt_at": falls_due,
            **columns,
        }
        return self.add(
            Renewal(
                id=new_id(),
                organisation_id=hosting.organisation_id,
                hosting_id=hosting.id,
                predecessor_id=certificate.id,
                state=state,
                created_at=self.now,
                **values,
            )
        )

    # Clouds

    def cloud_account(
        self,
        organisation: Organisation,
        provider: str = "sandbox",
        config: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> CloudAccount:
        row = new_id()
        place = Place(organisation.id, "cloud_accounts", row, "secrets")
        return self.add(
            CloudAccount(
                id=row,
                organisation_id=organisation.id,
                name=name or f"cloud-{self.number()}",
                provider=provider,
                config=dict(config or {}),
                secrets=self.seal_json(secrets or {}, place),
                created_at=self.now,
            )
        )

    def target(
        self,
        account: CloudAccount,
        domain: str = "shop.example.com",
        *,
        product: str = "cdn",
        certificate: Certificate | None = None,
        live_address: str | None = None,
        is_automatic: bool = True,
    ) -> DeploymentTarget:
        return self.add(
            DeploymentTarget(
                id=new_id(),
                organisation_id=account.organisation_id,
                cloud_account_id=account.id,
                product=product,
                domain=domain,
                live_address=live_address,
                is_automatic=is_automatic,
                certificate_id=certificate.id if certificate else None,
                served_sha256=certificate.sha256 if certificate else None,
                served_at=self.now if certificate else None,
                created_at=self.now,
            )
        )

    def deployment(
        self,
        target: DeploymentTarget,
        certificate: Certificate,
        *,
        state: DeploymentState = DeploymentState.PENDING,
        due: timedelta | None = timedelta(0),
        **columns: Any,
    ) -> Deployment:
        """A deployment that is due `due` after now (None: never)."""
        return self.add(
            Deployment(
                id=new_id(),
                organisation_id=target.organisation_id,
                target_id=target.id,
                certificate_id=certificate.id,
                state=state,
                next_attempt_at=None if due is None else self.now + due,
                created_at=self.now,
                **columns,
            )
        )

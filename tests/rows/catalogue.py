"""What is sold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from portal.adapters.ca import registry as ca_registry
from portal.adapters.key_vault import Place
from portal.domain.pricing import FIRST_HOSTING_FEE
from portal.domain.spec import DomainType, Grade, ValidationType
from portal.models.catalogue import CaAccount, PriceBook, Product
from portal.models.types import new_id
from tests.rows.base import Maker


class CatalogueMaker(Maker):
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

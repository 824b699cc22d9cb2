"""Orders, hostings, renewals."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from portal.domain.due import Life
from portal.domain.due import due as due_rule
from portal.domain.hosting import HostingState
from portal.domain.order import OPEN_FOR, OrderKind, OrderState
from portal.domain.pricing import Item
from portal.domain.renewal import RenewalState
from portal.domain.term import end_for_existing
from portal.models.account import Organisation, User
from portal.models.catalogue import Product
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.models.order import Order, OrderLine
from portal.models.types import new_id
from tests.rows.catalogue import CatalogueMaker


def _lines(
    certificates: Sequence[Certificate], product: Product, hosting_fee_fen: int, state: OrderState
) -> list[OrderLine]:
    prices = {Item.CERTIFICATE: product.price_fen, Item.HOSTING: hosting_fee_fen}
    return [
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


class OrderMaker(CatalogueMaker):
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
        lines = _lines(certificates, product, book.hosting_fee_fen, state)
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
        falls_due = due or due_rule(Life(certificate.not_before, certificate.not_after)).at
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

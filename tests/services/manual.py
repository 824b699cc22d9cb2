"""A renewal at a CA that operators carry orders to, driven until it waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session, scoped_session

from portal.adapters.ca.manual import PREFIX
from portal.domain.keys import make_csr
from portal.domain.renewal import RenewalState
from portal.domain.spec import ValidationType
from portal.models.catalogue import CaAccount
from portal.models.hosting import Renewal
from portal.services import ca_accounts
from tests import pki
from tests.factories import Cast, Factory

OV_POLICY = "2.23.140.1.2.2"


@dataclass(frozen=True)
class Carried:
    """A renewal under review and its order."""

    renewal: Renewal
    order_id: str
    account: CaAccount
    session: scoped_session[Session]

    def answer(self, **making: Any) -> pki.Made:
        """What the CA would issue."""
        return pki.make_certificate(
            **{"names": self.renewal.names, "policy_oids": (OV_POLICY,), "key_number": 7, **making}
        )

    def fresh(self) -> Renewal:
        self.session.expire_all()
        return self.session.get_one(Renewal, self.renewal.id)


def carried(
    factory: Factory,
    cast: Cast,
    now: datetime,
    *,
    validation_type: ValidationType = ValidationType.OV,
    names: tuple[str, ...] = ("pay.example.com", "www.pay.example.com"),
    **columns: Any,
) -> Carried:
    """A hosted OV certificate whose renewal was handed to the operators a moment ago."""
    account = factory.ca_account(f"CFCA OV {factory.number()}", kind="manual")
    certificate = factory.certificate(
        cast.organisation,
        names=names,
        validation_type=validation_type,
        brand="cfca",
        expires_in=timedelta(days=21),
    )
    product = factory.product(
        ca_account=account,
        domain_type=certificate.domain_type,
        validation_type=validation_type,
        brand="cfca",
    )
    hosting = factory.hosting(certificate, product)
    csr = make_csr(names, pki.key("ec-p256", 7))
    ca = ca_accounts.connect(account)
    url = ca.new_order(names).url
    renewal = factory.renewal(
        hosting,
        state=RenewalState.FINALIZING,
        due=now + timedelta(hours=1),
        started_at=now,
        ca_account_id=account.id,
        order_url=url,
        csr_pem=csr,
        **columns,
    )
    ca.finalize(url, csr)
    return Carried(renewal, url.removeprefix(PREFIX), account, factory.session)  # type: ignore[arg-type]

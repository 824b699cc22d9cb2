"""What nobody will ask for again is thrown away, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.ca import private_order
from portal.models.authority import CaOrderKey
from portal.services import housekeeping
from portal.services.ca_ledger import DatabaseLedger
from tests.factories import Factory


def test_the_key_of_an_order_is_kept_as_long_as_the_order_can_be_carried_on(
    factory: Factory, session: scoped_session[Session], now: datetime
) -> None:
    ledger = DatabaseLedger(factory.ca_account().id)
    ledger.bind("1" * 64, "a" * 64, now - private_order.LIFETIME)
    ledger.bind("2" * 64, "a" * 64, now - private_order.LIFETIME - timedelta(days=2))
    housekeeping.clean(now)
    session.expire_all()
    assert session.scalars(select(CaOrderKey.order_sha256)).all() == ["1" * 64]

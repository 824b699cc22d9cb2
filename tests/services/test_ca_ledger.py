"""What CAs of ours keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.adapters.errors import AdapterError
from portal.domain.alarms import AlarmKind
from portal.domain.keys import make_csr
from portal.domain.manual_order import ManualOrderState
from portal.models.alarm import Alarm
from portal.models.authority import CaRevocation
from portal.models.history import HistoryEntry
from portal.models.notice import Notice
from portal.services import ca_accounts
from portal.services.ca_ledger import DatabaseLedger
from tests import pki
from tests.factories import Cast, Factory

Db = scoped_session[Session]
NAMES = ("a.example.com", "b.example.com")
NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.fixture
def ledger(factory: Factory) -> DatabaseLedger:
    return DatabaseLedger(factory.ca_account(kind="manual").id)


def csr(number: int = 0) -> str:
    return make_csr(NAMES, pki.key("ec-p256", number))


def test_an_order_is_kept_and_found_by_its_own_account_alone(
    ledger: DatabaseLedger, factory: Factory
) -> None:
    placed = ledger.place(NAMES, NOW)
    assert (placed.names, placed.state) == (NAMES, ManualOrderState.PLACED)
    assert ledger.find(placed.id) == placed
    assert DatabaseLedger(factory.ca_account().id).find(placed.id) is None


def test_submitting_twice_is_one_change_and_one_alarm(
    ledger: DatabaseLedger, session: Db, cast: Cast
) -> None:
    placed = ledger.place(NAMES, NOW)
    seen = [ledger.submit(placed.id, csr(number), NOW) for number in range(2)]
    assert seen[0] == seen[1]
    assert seen[0].state == ManualOrderState.UNDER_REVIEW
    changes = session.scalars(select(HistoryEntry).where(HistoryEntry.subject_id == placed.id)).all()
    assert [(one.event, one.actor) for one in changes] == [("submit", "worker")]
    alarm = session.scalars(select(Alarm)).one()
    assert (alarm.kind, alarm.subject_id) == (AlarmKind.MANUAL_ORDER, placed.id)
    assert [one.recipient for one in session.scalars(select(Notice))] == [cast.olga.email]


def test_an_order_that_nobody_placed_cannot_be_submitted(ledger: DatabaseLedger) -> None:
    with pytest.raises(AdapterError, match="ca_order_gone"):
        ledger.submit("0" * 32, csr(), NOW)


def test_the_first_key_of_an_order_is_its_key(ledger: DatabaseLedger, factory: Factory) -> None:
    assert [ledger.bind("o" * 64, key * 64, NOW) for key in "aba"] == [True, False, True]
    assert ledger.bind("p" * 64, "b" * 64, NOW)
    assert DatabaseLedger(factory.ca_account().id).bind("o" * 64, "b" * 64, NOW)


def test_a_serial_is_listed_once(ledger: DatabaseLedger) -> None:
    not_after = NOW + timedelta(days=90)
    serial = (1 << 158) + 7
    for reason in (1, 4):
        ledger.revoke(serial, reason, not_after, NOW)
    (line,) = ledger.revoked(NOW)
    assert (line.serial, line.reason, line.not_after) == (serial, 1, not_after)


def test_what_expired_long_ago_is_not_looked_at(ledger: DatabaseLedger, session: Db) -> None:
    now = NOW
    for number, days in enumerate((-9, -7, 1), 1):
        ledger.revoke(number, 0, now + timedelta(days=days), now)
    assert sorted(one.serial for one in ledger.revoked(NOW)) == [2, 3]
    assert len(session.scalars(select(CaRevocation)).all()) == 3


def test_accounts_are_connected_with_their_ledger_and_their_address(
    factory: Factory, settings: object
) -> None:
    account = factory.ca_account()
    assert ca_accounts.public_url(account).endswith(f"/ca/{account.id}")
    elsewhere = factory.ca_account(config={"public_url": "http://pki.example.internal/"})
    assert ca_accounts.public_url(elsewhere) == f"http://pki.example.internal/ca/{elsewhere.id}"
    manual = factory.ca_account(kind="manual")
    assert ca_accounts.connect(manual).new_order(NAMES).url

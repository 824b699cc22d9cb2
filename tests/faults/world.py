"""The world of the fault tests: paid orders, a clock that can be set, real workers, a CA that counts what it gave out.

In this process: `World.pay_for`, `World.settle`. In processes that can be killed: `World.crew`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine
from flask import Flask
from sqlalchemy import func, insert, select

from portal.domain.notices import NoticeKind, NoticeState
from portal.domain.order import OrderState, PaymentState
from portal.domain.renewal import FINAL, RenewalState
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.authority import CaOrderKey
from portal.models.catalogue import CaAccount
from portal.models.certificate import Certificate, Source
from portal.models.hosting import Renewal
from portal.models.notice import Notice
from portal.models.order import Order, Payment
from portal.models.types import new_id
from portal.services import alarms, ca_accounts
from portal.services.driving import drive_all
from portal.services.kinds import KINDS
from portal.services.ringing import due_ids
from portal.settings import Settings, child_environment
from tests.factories import Cast, Factory
from tests.stories import promises
from tests.stories.crew import Crew

MASTER_KEYS = f"1:{bytes(range(32)).hex()}"
#: What makes waiting short for real processes.
QUICK = {
    "PORTAL_LEASE_SECONDS": "1",
    "PORTAL_RING_AGAIN_SECONDS": "1",
    "PORTAL_TICK_SECONDS": "1",
    "PORTAL_SWEEP_SECONDS": "2",
    "PORTAL_LOG_FORMAT": "json",
    "PORTAL_SECRET_KEY": "test-secret-key",
    "PORTAL_MASTER_KEYS": MASTER_KEYS,
    "PORTAL_ALLOWED_NETWORKS": "127.0.0.0/8",
}
#: A certificate that is hosted so late is renewed at once.
DAYS_LEFT = timedelta(days=12)


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __call__(self) -> datetime:
        return self.now


@dataclass
class World:
    """`issued` asks the CA for the serials (hex) of all that it gave out."""

    app: Flask
    factory: Factory
    cast: Cast
    settings: Settings
    folder: Path
    clock: Clock
    issued: Callable[[], Sequence[str]] | None = None

    def pay_for(self, name: str, account: CaAccount | None = None, **making: object) -> Order:
        """A paid order to host a certificate that is due for renewal; nothing is done about it yet."""
        order = self._order(name, account, making)
        self._payment(order, PaymentState.PAID)
        return db.session.get_one(Order, order.id)

    def acme_account(self, directory_url: str, ca_bundle: str, **config: object) -> CaAccount:
        """An account at the pebble of these tests, which believes every proof (what DNS does is other tests' part)."""
        settings = {
            "directory_url": directory_url,
            "ca_bundle": ca_bundle,
            "challenge": "http-01",
            "rehearsal": "no",
            **config,
        }
        name = f"acme-{self.factory.number()}"
        account = ca_accounts.add(name, "acme", settings, {}, "test", self.factory.now)
        ca_accounts.ensure_registered(account)
        return account

    def unpaid(self, name: str) -> tuple[Order, str]:
        """An open order, and the number under which the gateway knows its payment."""
        order = self._order(name, None, {}, OrderState.OPEN)
        return order, self._payment(order, PaymentState.STARTED).merchant_number

    def _order(
        self,
        name: str,
        account: CaAccount | None,
        making: Mapping[str, object],
        state: OrderState = OrderState.PAID,
    ) -> Order:
        certificate = self.factory.certificate(
            self.cast.organisation, **{"names": (name,), "expires_in": DAYS_LEFT, **making}
        )
        product = self.factory.product(ca_account=account, domain_type=certificate.domain_type)
        return self.factory.order(self.cast.organisation, self.cast.alice, [certificate], product, state)

    def _payment(self, order: Order, state: PaymentState) -> Payment:
        is_paid = state is PaymentState.PAID
        return self.factory.add(
            Payment(
                id=new_id(),
                order_id=order.id,
                gateway="sandbox",
                merchant_number=f"M{order.number}",
                trade_number=f"S{order.number}" if is_paid else None,
                state=state,
                amount_fen=order.total_fen,
                currency="CNY",
                created_at=self.factory.now,
                paid_at=self.factory.now if is_paid else None,
            )
        )

    def elsewhere(self, app: Flask, settings: Settings) -> World:
        """The same in another installation, whose app context is pushed."""
        factory = Factory(db.session, self.factory.vault, self.factory.now)
        return World(app, factory, factory.cast(), settings, self.folder, self.clock, self.issued)

    def bulk_notices(self, count: int) -> None:
        """Mails that are due and cannot be sent, since no mail server is configured."""
        values = {
            "kind": NoticeKind.ACTION_REQUIRED,
            "subject_type": "orders",
            "recipient": "nobody@example.com",
            "locale": "en",
            "timezone": "UTC",
            "params": {},
            "state": NoticeState.PENDING,
            "message_id": "<bulk@localhost>",
            "created_at": self.factory.now,
            "next_attempt_at": self.factory.now,
            **dict.fromkeys(("threshold", "fence", "attempts", "polls"), 0),
        }
        db.session.execute(
            insert(Notice), [{"id": new_id(), "subject_id": new_id(), **values} for _ in range(count)]
        )
        db.session.commit()

    def settle(self, until: timedelta = timedelta(0), each: Callable[[], object] | None = None) -> None:
        """Do here all that falls due before `until` has passed, and set the clock on accordingly. `each` comes between.

        Time stands still while a step runs. The ladder of alarms is climbed as the watchdog does.
        """
        end = self.clock.now + until
        while True:
            with time_machine.travel(self.clock.now, tick=False):
                while self.drive_due():
                    if each is not None:
                        each()
                alarms.climb_ladders(self.clock.now)
            soonest = self.soonest()
            if soonest is None or soonest > end:
                self.clock.now = max(end, self.clock.now)
                with time_machine.travel(self.clock.now, tick=False):
                    alarms.climb_ladders(self.clock.now)
                return
            self.clock.now = max(soonest, self.clock.now)

    def drive_due(self) -> int:
        """One round of what is due now, told first mail last."""
        driven = 0
        for kind in KINDS.values():
            ids = due_ids(kind, self.clock.now)
            drive_all(kind, ids, self.clock)
            driven += len(ids)
        return driven

    def drive_due_orders(self) -> None:
        """Fulfil what is paid, and nothing more."""
        drive_all(KINDS["order"], due_ids(KINDS["order"], self.clock.now), self.clock)

    def soonest(self) -> datetime | None:
        """When the next operation, or the next step of an alarm ladder, is due."""
        columns = [kind.model.next_attempt_at for kind in KINDS.values()]
        columns.append(Renewal.alarm_at)
        found = [db.session.scalar(select(func.min(column))) for column in columns]
        return min((one for one in found if one is not None), default=None)

    def renewal(self, sequence: int = 1) -> Renewal:
        """The only renewal with that number, read anew."""
        db.session.rollback()
        db.session.expire_all()
        return db.session.scalars(select(Renewal).where(Renewal.sequence == sequence)).one()

    def order_ids(self) -> list[str]:
        db.session.rollback()
        return list(db.session.scalars(select(Order.id).order_by(Order.number)))

    def open_alarms(self) -> list[str]:
        db.session.rollback()
        query = select(Alarm.kind).where(Alarm.cleared_at.is_(None)).order_by(Alarm.kind)
        return [kind.value for kind in db.session.scalars(query)]

    def is_over(self) -> bool:
        """Whether each order has its first renewal done, and everybody has been told."""
        db.session.rollback()
        unpaid = db.session.scalar(select(Order.id).where(Order.state == OrderState.PAID).limit(1))
        undone = db.session.scalar(
            select(Renewal.id).where(Renewal.sequence == 1, Renewal.state.not_in(FINAL)).limit(1)
        )
        return (
            unpaid is None and undone is None and db.session.scalar(select(Renewal.id).limit(1)) is not None
        )

    def check(self, logs: str = "", *, is_over: bool = True) -> None:
        """The invariant."""
        db.session.rollback()
        serials = self.issued() if self.issued is not None else issued_by_private_ca()
        promises.check(self.clock.now, serials, logs, is_over=is_over)

    # Processes

    @property
    def environment(self) -> dict[str, str]:
        """What leads processes here."""
        return {
            **QUICK,
            "PORTAL_DATA_DIR": str(self.settings.data_dir),
            "PORTAL_DATABASE_URL": self.settings.database_url,
            "PORTAL_REDIS_URL": self.settings.redis_url,
            "PORTAL_BASE_URL": self.settings.base_url,
            "PORTAL_MAIL_URL": self.settings.mail_url,
            "PORTAL_STEP_TIMEOUT": str(self.settings.step_timeout),
        }

    def environment_with(self, faults: Mapping[str, str]) -> dict[str, str]:
        """The same, with faults at these points."""
        return child_environment({**self.environment, "PORTAL_FAULTS": json.dumps(dict(faults))})

    @contextmanager
    def crew(
        self, faults: Mapping[str, str] | None = None, workers: int = 2, schedulers: int = 1, **more: str
    ) -> Iterator[Crew]:
        """Real workers and a scheduler. `more` are further settings."""
        environment = {**self.environment_with(faults or {}), **more}
        db.session.rollback()
        with Crew(environment, self.folder, workers, schedulers) as crew:
            yield crew

    def wait(self, crew: Crew, condition: Callable[[], object] | None = None, timeout: float = 40) -> None:
        """Tend the crew until that holds, or until all is over. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while not (condition or self.is_over)():
            crew.tend()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.summary()}\n{crew.log()[-8_000:]}")
            time.sleep(0.05)
        self.clock.now = max(self.clock.now, datetime.now(UTC))

    def reached(self, *points: str) -> bool:
        """Whether these fault points were come to."""
        return all((self.settings.data_dir / "faults" / one).exists() for one in points)

    def summary(self) -> str:
        """Where everything stands."""
        rows = [row for kind in KINDS.values() for row in db.session.scalars(select(kind.model))]
        return "\n".join(
            f"{type(row).__name__} {row.id[:6]} {row.state} {row.error_code} {row.error_params} "
            f"due {row.next_attempt_at} rung {row.rung_until} lease {row.lease_until} {row.attempts}"
            for row in rows
        )


def issued_by_private_ca() -> list[str]:
    """What the private CA gave out, by its ledger: an order is bound to one key, and so to one certificate."""
    orders = db.session.scalar(select(func.count()).select_from(CaOrderKey)) or 0
    rows = db.session.scalars(select(Certificate.serial).where(Certificate.source == Source.ISSUED)).all()
    assert orders == len(rows), f"the CA certified {orders} orders, we hold {len(rows)}"
    return list(rows)


def done(world: World, count: int = 1) -> None:
    """The first renewals are done."""
    db.session.rollback()
    states = db.session.scalars(select(Renewal.state).where(Renewal.sequence == 1)).all()
    assert list(states) == [RenewalState.DONE] * count, world.summary()

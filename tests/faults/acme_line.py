"""The whole renewal line against a pebble, on a clock that jumps to whatever is due next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.domain.alarms import AlarmKind
from portal.domain.renewal import FINAL, RenewalState
from portal.extensions import db
from portal.models.alarm import Alarm
from portal.models.catalogue import CaAccount, Product
from portal.models.hosting import Renewal
from portal.services import ca_accounts
from portal.services.driving import drive
from portal.services.renewal_steps import KIND
from tests.acme_proxy import AcmeProxy
from tests.factories import Cast, Factory
from tests.services.capacity import issued_by, issuer_key
from tests.stories import promises

#: Pebble believes every proof, and at once.
EASY = {"PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_AUTHZREUSE": "0"}

#: More turns than any fault needs.
_TURNS = 600


@dataclass
class Line:
    """`now` is what every step is told; the CA's clock, as `proxy` shows it, goes with it."""

    factory: Factory
    cast: Cast
    now: datetime
    directory_url: str
    ca_bundle: str
    proxy: AcmeProxy | None = None
    tries: list[datetime] = field(default_factory=list)

    def account(
        self, name: str = "public", secrets: dict[str, str] | None = None, **config: Any
    ) -> CaAccount:
        settings = {
            "directory_url": self.directory_url,
            "ca_bundle": self.ca_bundle,
            "challenge": "http-01",
            "rehearsal": "no",
            **config,
        }
        account = ca_accounts.add(name, "acme", settings, secrets or {}, "cli", self.now)
        ca_accounts.ensure_registered(account)
        return account

    def due(self, account: CaAccount, name: str, product: Product | None = None) -> Renewal:
        """A certificate of 90 days that this account issued, due now."""
        predecessor = self.factory.certificate(
            self.cast.organisation,
            names=(name,),
            lifetime=timedelta(days=90),
            expires_in=timedelta(days=30),
            extensions=[issuer_key()],
        )
        issued_by(account, predecessor)
        product = product or self.factory.product(ca_account=account)
        return self.factory.renewal(self.factory.hosting(predecessor, product), due=self.now)

    def row(self, renewal: Renewal) -> Renewal:
        db.session.expire_all()
        return db.session.get_one(Renewal, renewal.id)

    def step(self, renewal: Renewal) -> Renewal:
        """Drive once, at the present moment."""
        if self.proxy is not None:
            self.proxy.clock_error = self.now - datetime.now(UTC)
        self.tries.append(self.now)
        drive(KIND, renewal.id, lambda: self.now)
        return self.row(renewal)

    def run(self, renewal: Renewal, until: Callable[[Renewal], bool] | None = None) -> Renewal:
        """Drive, and jump to whatever is due next, until it is issued and live (or `until` holds)."""
        for _ in range(_TURNS):
            row = self.step(renewal)
            if row.state in FINAL or (until is not None and until(row)):
                return row
            assert row.next_attempt_at is not None
            self.now = max(self.now, row.next_attempt_at)
        raise AssertionError(f"still {self.row(renewal).state}, {self.row(renewal).error_code}")

    def finish(self, renewal: Renewal) -> Renewal:
        """To its end, which is a good one."""
        row = self.run(renewal)
        assert row.state is RenewalState.DONE, (row.state, row.error_code, row.error_params)
        return row

    def check_promises(self, issued: Sequence[str]) -> None:
        """Nothing was issued twice or lost, nobody holds anything, nothing is given up or late in silence."""
        db.session.expire_all()
        renewals = db.session.scalars(select(Renewal)).all()
        held = [int(one.successor.serial, 16) for one in renewals if one.successor is not None]
        assert sorted(held) == sorted(int(serial, 16) for serial in issued)
        for one in renewals:
            promises.check_renewal(one, self.now, is_over=False)
        promises.check_leases()
        promises.check_nobody_holds()
        promises.check_history()


def open_alarms() -> set[AlarmKind]:
    return set(db.session.scalars(select(Alarm.kind).where(Alarm.cleared_at.is_(None))))

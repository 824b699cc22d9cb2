"""Ten simulated years: `python -m bench.decade [--certificates 500] [--years 10] [--seed 1]` (part of make soak).

Customers upload certificates on staggered days, pay for terms of one to three years and buy again when a term is over;
the CA follows the public schedule of 200, 100 and 47 days and is away at times, and so are names. Everything is done by
the real services on one SQLite database; the clock jumps to the next moment at which anything is due. At the end the
promises are checked (bench.decade_promises). The result: bench/results/decade.json.
"""

from __future__ import annotations

import argparse
import heapq
import logging
import random
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import time_machine
from flask_migrate import upgrade
from sqlalchemy import CompoundSelect, event, func, select, union_all, update

from bench import decade_ca, decade_promises
from bench.decade_ca import DNS_OPERATORS, World, outages
from bench.decade_promises import Term
from bench.measuring import own_cpu, progress, report
from portal import logs
from portal.app import create_core
from portal.domain.checks import CheckState, CheckSubject
from portal.domain.hosting import HostingState
from portal.domain.term import CUSHION, longest_validity, plan
from portal.doorbell import BATCH
from portal.extensions import db
from portal.models.account import Organisation, User
from portal.models.catalogue import CaAccount, Product
from portal.models.certificate import Certificate
from portal.models.hosting import Hosting, Renewal
from portal.models.validation import HostingCheck
from portal.queue import JobName
from portal.services import ca_accounts, scanning, turning_on
from portal.services.kinds import KINDS
from tests.databases import bare_settings
from tests.factories import Factory

START = datetime(2026, 4, 1, tzinfo=UTC)
#: The service looks this often; what falls due in between waits for it.
SLOT = timedelta(hours=2)

#: Days before its expiry on which hosting is bought for a certificate: early in the window, since an outage of the CA
#: and one of the DNS, five days each, can follow one another, and nothing saves what is bought on the last day of both.
BOUGHT_BEFORE = (12, 15)
#: When a new account takes over: at each new limit, and before an issuing certificate (five years) runs out.
ERAS = (
    START,
    datetime(2027, 3, 15, tzinfo=UTC),
    datetime(2029, 3, 15, tzinfo=UTC),
    datetime(2033, 1, 1, tzinfo=UTC),
)
ACTOR = "simulation"


class Bell:
    """In the place of Redis and the workers: jobs that were rung for wait here, and are run one after another."""

    def __init__(self) -> None:
        self._rung: deque[tuple[JobName, Sequence[str]]] = deque()

    def ring(self, job: JobName, ids: Sequence[str]) -> bool:
        self._rung.extend((job, ids[start : start + BATCH]) for start in range(0, len(ids), BATCH))
        return True

    def work(self) -> int:
        """Run every job, those too that they ring for; returns how many that were."""
        count = 0
        while self._rung:
            job, ids = self._rung.popleft()
            module, _, name = job.value.rpartition(".")
            getattr(import_module(module), name)(*ids)
            count += 1
        return count


@dataclass
class Simulation:
    """One run. `customers` are (moment, number, certificate id or None for a first upload) as a heap.

    This CA suggests no windows: without `with_looks` nobody asks it weekly, which would be half of all the work.
    """

    factory: Factory
    dice: random.Random
    bell: Bell
    end: datetime
    with_looks: bool = False
    customers: list[tuple[datetime, int, str | None]] = field(default_factory=list)
    eras: list[datetime] = field(default_factory=lambda: list(ERAS))
    terms: list[Term] = field(default_factory=list)
    bought: set[str] = field(default_factory=set)
    slots: int = 0
    jobs: int = 0
    soonest: CompoundSelect[Any] = field(default_factory=lambda: _soonest())
    organisation_id: str = ""
    user_id: str = ""

    def run(self, certificates: int, traveller: Any) -> None:
        """From START to `end`, slot by slot."""
        for number in range(certificates):
            day = START + timedelta(days=self.dice.uniform(0, 365))
            heapq.heappush(self.customers, (day, number, None))
        self.organisation_id = self.factory.organisation("Simulation").id
        self.user_id = self.factory.user("simulation").id
        now, year = START, START
        while now < self.end:
            traveller.move_to(now)
            self._turn(now)
            if now >= year:
                progress(f"{now.date()}: {len(decade_ca.world.issued)} issued, {self.slots} slots")
                year += timedelta(days=365)
            now = slot_of(max(self._next(now), now + SLOT))

    def _turn(self, now: datetime) -> None:
        """Whatever is due by now: a new account, customers, then the service."""
        while self.eras and self.eras[0] <= now:
            self._open_account(self.eras.pop(0), now)
        while self.customers and self.customers[0][0] <= now:
            _, number, certificate_id = heapq.heappop(self.customers)
            self._buy(number, certificate_id, now)
        scanning.scan(now)
        self.jobs += self.bell.work()
        self._plan_buying_again(now)
        db.session.remove()
        self.slots += 1

    def _next(self, now: datetime) -> datetime:
        """The next moment at which anything happens."""
        moments = [one for (one,) in db.session.execute(self.soonest) if one is not None]
        db.session.remove()
        moments += [self.customers[0][0]] if self.customers else []
        moments += self.eras[:1]
        return min(moments, default=now + SLOT)

    def _open_account(self, since: datetime, now: datetime) -> None:
        """The limits have changed: the product is issued by a new account from now on."""
        days = (longest_validity(since) - CUSHION).days
        config = {"subject": f"Simulated CA {since.year}", "validity_days": str(days), "challenge": "http-01"}
        name = f"Simulated {since.year}"
        account = ca_accounts.add(name, decade_ca.KIND, config, {}, ACTOR, now)
        ca_accounts.ensure_registered(account)
        product = db.session.scalar(select(Product)) or self.factory.product("simulated", ca_account=account)
        product.ca_account_id = account.id
        db.session.commit()

    def _buy(self, number: int, certificate_id: str | None, now: datetime) -> None:
        """Upload, or take what the last term ended with, and pay for one to three years."""
        certificate = self._certificate(number, certificate_id, now)
        product = db.session.scalars(select(Product)).one()
        organisation = db.session.get_one(Organisation, self.organisation_id)
        user = db.session.get_one(User, self.user_id)
        self.factory.now = now
        order = self.factory.order(organisation, user, [certificate], product)
        line = order.lines[0]
        line.quantity = self.dice.choice((1, 1, 2, 3))
        turning_on.check_still_possible([line])
        hosting = turning_on.turn_on(line, self.organisation_id, ACTOR, now)
        if not self.with_looks:
            own = (HostingCheck.hosting_id == hosting.id, HostingCheck.subject == CheckSubject.ARI)
            ended = {"state": CheckState.ENDED, "next_attempt_at": None}
            db.session.execute(update(HostingCheck).where(*own).values(**ended))
        db.session.commit()
        figure = plan(certificate.not_before, certificate.not_after, hosting.coverage_ends_at, now)
        self.terms.append(
            Term(hosting.id, number, certificate.id, now, hosting.coverage_ends_at, len(figure))
        )

    def _certificate(self, number: int, certificate_id: str | None, now: datetime) -> Certificate:
        if certificate_id is not None:
            return db.session.get_one(Certificate, certificate_id)
        self.factory.now = now
        return self.factory.certificate(
            db.session.get_one(Organisation, self.organisation_id),
            names=(f"site{number}.decade.example",),
            expires_in=timedelta(days=self.dice.uniform(*BOUGHT_BEFORE)),
            lifetime=longest_validity(now) - CUSHION,
        )

    def _plan_buying_again(self, now: datetime) -> None:
        """A term that has its last certificate is bought anew before that expires, inside the window."""
        over = select(Hosting).where(Hosting.state == HostingState.COMPLETED)
        for hosting in db.session.scalars(over.where(Hosting.id.not_in(self.bought))):
            self.bought.add(hosting.id)
            number = next(term.number for term in self.terms if term.hosting_id == hosting.id)
            at = hosting.certificate.not_after - timedelta(days=self.dice.uniform(*BOUGHT_BEFORE))
            heapq.heappush(self.customers, (max(at, now + SLOT), number, hosting.certificate_id))


def _soonest() -> CompoundSelect[Any]:
    """When each kind of work is due next, and the next step of an alarm ladder."""
    columns = [kind.model.next_attempt_at for kind in KINDS.values()]
    return union_all(
        *(select(func.min(one).label("at")).where(one.is_not(None)) for one in [*columns, Renewal.alarm_at])
    )


def slot_of(moment: datetime) -> datetime:
    """The first look at or after a moment."""
    return START + -((START - moment) // SLOT) * SLOT


@contextmanager
def simulated_app(folder: Path) -> Iterator[Any]:
    """An app on SQLite that never waits for the disk, without Redis."""
    logs.configure(as_json=True, level=logging.ERROR)
    app = create_core(bare_settings(folder, f"sqlite:///{folder / 'decade.db'}"), with_redis=False)
    with app.app_context():
        event.listen(
            db.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF")
        )
        upgrade()
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


def simulate(
    folder: Path, certificates: int, years: float, seed: int, with_looks: bool = False
) -> dict[str, Any]:
    """Run it, check the promises, and give the totals. Raises AssertionError."""
    dice = random.Random(seed)
    end = START + timedelta(days=365.25 * years)
    decade_ca.register()
    decade_ca.world = World(
        outages(dice, START, end, 5), [outages(dice, START, end, 3) for _ in range(DNS_OPERATORS)]
    )
    before = own_cpu()
    with time_machine.travel(START, tick=False) as traveller, simulated_app(folder) as app:
        app.extensions["ring"] = (bell := Bell()).ring
        run = Simulation(Factory(db.session, app.extensions["vault"], START), dice, bell, end, with_looks)
        run.run(certificates, traveller)
        totals = decade_promises.check(run.terms, decade_ca.world, end, slot_of)
        accounts = db.session.scalar(select(func.count()).select_from(CaAccount))
    return {
        "certificates": certificates,
        "years": years,
        "seed": seed,
        **totals,
        "ca_accounts": accounts,
        "slots": run.slots,
        "jobs_run": run.jobs,
        "cpu_seconds": own_cpu() - before,
    }


def main() -> None:
    """Simulate and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=500)
    parser.add_argument("--years", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="decade-", dir=memory if memory.is_dir() else None) as folder:
        totals = simulate(Path(folder), options.certificates, options.years, options.seed)
    report("decade", totals, started)


if __name__ == "__main__":
    main()
